"""What an entry of the journal says: its fields, and their names and values."""

import logging
import string
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.journald import StandIn, decode
from queuectld.host import journal, logs


def fail() -> None:
    raise ValueError("bad\nthing\x1b[31m")


# -- what an entry says ----------------------------------------------------------------


def test_an_event_has_its_line_and_a_field_for_each_thing(
    start: Callable[..., None], journald: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    """The frame, then the event's own, in upper case; nothing is on stderr."""
    start(journald.path)
    logs.get("jobs").warning("job_dead", job_id="4 2", exit_code=3, bound=True)
    assert journald.receive() == {
        "MESSAGE": ['WARNING job_dead job_id="4 2" exit_code=3 bound=true'],
        "PRIORITY": ["4"],
        "SYSLOG_IDENTIFIER": ["queuectld"],
        "LOGGER": ["queuectld.jobs"],
        "EVENT": ["job_dead"],
        "JOB_ID": ["4 2"],
        "EXIT_CODE": ["3"],
        "BOUND": ["true"],
    }
    assert not journald.waiting()
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("level", "priority"),
    [
        (logging.DEBUG, "7"),
        (logging.INFO, "6"),
        (logging.WARNING, "4"),
        (logging.ERROR, "3"),
        (logging.CRITICAL, "3"),
    ],
)
def test_a_level_is_a_priority(
    start: Callable[..., None], journald: StandIn, level: int, priority: str
) -> None:
    """A critical record of a library has the priority of an error."""
    start(journald.path)
    logging.getLogger("asyncio").log(level, "slow %s", "callback")
    entry = journald.receive()
    assert entry["PRIORITY"] == [priority]
    assert (entry["EVENT"], entry["MESSAGE_"]) == (["asyncio"], ["slow callback"])


def test_a_traceback_keeps_its_lines(
    start: Callable[..., None], journald: StandIn
) -> None:
    """In its field; in the message they are escaped, so it is one line."""
    start(journald.path)
    with pytest.raises(ValueError, match="bad") as caught:
        fail()
    logs.get("x").exception("failed", caught.value)
    entry = journald.receive()
    assert entry["ERROR"] == ["ValueError: bad\nthing\\x1b[31m"]
    (traceback,) = entry["TRACEBACK"]
    assert traceback.startswith("Traceback (most recent call last):\n  File ")
    assert len(entry["MESSAGE"][0].splitlines()) == 1


def test_a_list_is_found_by_each_of_its_values(
    start: Callable[..., None], journald: StandIn
) -> None:
    """There are no more of them than journald accepts; None has no field."""
    start(journald.path)
    events = logs.get("x")
    events.info("leftovers_killed", pids=[7, 8], lease=None)
    entry = journald.receive()
    assert entry["PIDS"] == ["7", "8"]
    assert "LEASE" not in entry
    events.info("leftovers_killed", pids=list(range(2000)))
    assert len(journald.receive()["PIDS"]) == journal.LIST_MAX


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("job_id", "JOB_ID"),
        ("_pid", "PID"),
        ("2nd", "FIELD_2ND"),
        ("__", "FIELD_"),
        ("", "FIELD_"),
        ("größe in %", "GR_SSE_IN__"),
        ("message", "MESSAGE_"),
        ("priority", "PRIORITY_"),
        ("_message", "MESSAGE_"),
        ("x" * 65, "X" * 64),
    ],
)
def test_a_fields_name_is_one_that_journald_takes(key: str, name: str) -> None:
    """Reserved names and those that journald trusts are never used."""
    assert journal.field_name(key) == name


@given(st.text())
def test_any_name_is_one_that_journald_takes(key: str) -> None:
    """Up to 64 of A-Z, 0-9 and underscore, beginning with a letter."""
    name = journal.field_name(key)
    assert 1 <= len(name) <= 64
    assert name[0] in string.ascii_uppercase
    assert set(name) <= set(string.ascii_uppercase + string.digits + "_")


@given(st.text(), st.text(), st.binary())
def test_any_value_stays_in_its_field(event: str, value: str, raw: bytes) -> None:
    """No text begins another field or controls a terminal."""
    record = logging.LogRecord("x", logging.INFO, "", 1, event, None, None)
    record.fields = {"a": value, "b": raw, "c": "last"}
    fields = journal.entry(record)
    decoded = decode(journal.encode(fields))
    assert list(decoded) == [name for name, _ in fields]
    assert decoded["C"] == ["last"]
    for (each,) in decoded.values():
        assert each.replace("\n", "").replace("\t", "").isprintable()


# -- how it gets there -----------------------------------------------------------------


def test_a_value_is_cut_as_in_a_line(
    start: Callable[..., None], journald: StandIn
) -> None:
    """Its beginning and its end are kept."""
    start(journald.path)
    logs.get("x").info("long", text="a" * 100_000 + "b")
    (text,) = journald.receive()["TEXT"]
    assert len(text) == logs.VALUE_MAX + 1
    assert text.endswith("b")
