"""The log in the journal: fields that are found, and nobody ever held up."""

import fcntl
import logging
import os
import select
import socket
import string
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queuectld.host import journal, logs
from queuectld.host.journal import JournalHandler

ENOUGH = 1024 * 1024
"""Bytes of the largest datagram that a test receives."""


class StandIn:
    """What stands for journald: a datagram socket that is read on demand."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.listen()

    def listen(self) -> None:
        """Take messages, on a socket made anew."""
        self.path.unlink(missing_ok=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.bind(str(self.path))

    def receive(self) -> dict[str, list[str]]:
        """Return the next entry, which must be there; its file must be sealed."""
        data, files, _, _ = socket.recv_fds(self.socket, ENOUGH, 1)
        if not files:
            return decode(data)
        (file,) = files
        assert data == b""  # what does not fit in a datagram
        assert fcntl.fcntl(file, fcntl.F_GET_SEALS) == journal._SEALS
        with os.fdopen(file, "rb") as whole:
            whole.seek(0)
            return decode(whole.read())

    def waiting(self) -> bool:
        """Whether there is an entry to receive."""
        return bool(select.select([self.socket], [], [], 0)[0])

    def drain(self) -> list[dict[str, list[str]]]:
        """Return all entries that are there."""
        entries = []
        while self.waiting():
            entries.append(self.receive())
        return entries


def decode(data: bytes) -> dict[str, list[str]]:
    """Read an entry as journald does: by the lengths, and else line by line."""
    fields: dict[str, list[str]] = {}
    while data:
        line, _, data = data.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            size = int.from_bytes(data[:8], "little")
            value, data = data[8 : 8 + size], data[8 + size :]
            assert data[:1] == b"\n"
            data = data[1:]
        fields.setdefault(name.decode(), []).append(value.decode())
    return fields


@pytest.fixture
def journald() -> Iterator[StandIn]:
    """A journal in a directory whose path is short enough for a socket."""
    with TemporaryDirectory(prefix="queuectl-") as folder:
        stand_in = StandIn(Path(folder) / "socket")
        yield stand_in
        stand_in.socket.close()


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Start the log of this process on a journal; it is put back afterwards."""
    monkeypatch.setattr(logging, "raiseExceptions", logging.raiseExceptions)
    level = logging.getLogger().level

    def begin(path: Path, log_format: str = "text") -> None:
        handler = JournalHandler(path)
        logs.start(level="debug", log_format=log_format, journal=handler)

    yield begin
    logs.stop()
    logging.getLogger().setLevel(level)


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


def test_an_entry_too_large_for_a_datagram_goes_in_a_sealed_file(
    start: Callable[..., None], journald: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of it is lost, and the file is closed here."""
    monkeypatch.setattr(journal, "SEND_BUFFER", 10_000)
    start(journald.path)
    many = {f"f{number}": "x" * 7_000 for number in range(30)}
    logs.get("x").info("first")
    before = len(list(Path("/proc/self/fd").iterdir()))
    logs.get("x").info("huge", **many)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert journald.receive()["EVENT"] == ["first"]
    entry = journald.receive()
    assert all(entry[name.upper()] == [value] for name, value in many.items())


def test_a_journal_that_is_started_anew_gets_what_follows(
    start: Callable[..., None], journald: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    """The old socket is refused; the entry goes to the new one at once."""
    start(journald.path)
    events = logs.get("x")
    events.info("before")
    journald.socket.close()
    journald.listen()
    events.info("after")
    assert journald.receive()["EVENT"] == ["after"]
    assert capsys.readouterr().err == ""


def test_without_a_journal_the_line_is_on_stderr(
    start: Callable[..., None], journald: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the priority, for the journal that reads stderr; and back when it is up."""
    journald.path.unlink()
    start(journald.path)
    events = logs.get("x")
    events.error("alone", job_id="7")
    assert capsys.readouterr().err == "<3>ERROR alone job_id=7\n"
    journald.socket.close()
    journald.listen()
    events.info("found")
    assert journald.receive()["EVENT"] == ["found"]
    assert capsys.readouterr().err == ""


def test_json_stays_on_stderr(
    start: Callable[..., None], journald: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    """With JSON configured the line is JSON; a reload can change that both ways."""
    start(journald.path, "json")
    events = logs.get("x")
    events.info("object")
    assert capsys.readouterr().err.startswith('<6>{"time": ')
    assert not journald.waiting()
    logs.adjust(level="info", log_format="text")
    events.info("fields")
    assert journald.receive()["EVENT"] == ["fields"]


def fill(events: logs.EventLogger, capsys: pytest.CaptureFixture[str]) -> str:
    """Log until the journal's queue is full; return what went to stderr."""
    for number in range(100_000):
        events.info("tick", number=number)
        if err := capsys.readouterr().err:
            return err
    raise AssertionError("its queue is never full")


def test_a_journal_that_hangs_holds_up_nobody(
    start: Callable[..., None], journald: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    """A full queue costs a moment once; what does not fit is on stderr, in order."""
    start(journald.path)
    events = logs.get("x")
    first = fill(events, capsys)
    began = time.monotonic()
    for number in range(1000):
        events.info("tock", number=number)
    # A wait for each would be more than that: five seconds.
    assert time.monotonic() - began < 1000 * journal.WAIT / 2
    lines = capsys.readouterr().err.splitlines()
    assert lines == [f"<6>INFO tock number={number}" for number in range(1000)]
    queued = [entry["NUMBER"][0] for entry in journald.drain()]
    assert first == f"<6>INFO tick number={len(queued)}\n"
    assert queued == [str(number) for number in range(len(queued))]
    events.info("well")
    assert journald.receive()["EVENT"] == ["well"]


def test_what_is_lost_is_counted(
    start: Callable[..., None],
    journald: StandIn,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With stderr full too nothing blocks; the number of lost records comes later."""
    ours, theirs = socket.socketpair()
    with ours, theirs, ours.makefile("w", encoding="utf-8") as stderr:
        ours.setblocking(False)
        while select.select([], [ours], [], 0)[1]:
            ours.send(b"x" * 1000)
        monkeypatch.setattr("sys.stderr", stderr)
        journald.path.unlink()
        start(journald.path)
        events = logs.get("x")
        for _ in range(3):
            events.error("lost")
        journald.socket.close()
        journald.listen()
        events.info("found")
        told, found = journald.receive(), journald.receive()
        assert (told["EVENT"], told["COUNT"]) == (["records_lost"], ["3"])
        assert found["EVENT"] == ["found"]
        logs.stop()


def test_a_value_that_cannot_be_told_raises_nothing(
    start: Callable[..., None], journald: StandIn
) -> None:
    """An error in the log is no error of the caller."""

    class Broken:
        def __str__(self) -> str:
            raise RuntimeError

    start(journald.path)
    value: Any = Broken()
    logs.get("x").info("odd", value=value)
    logs.get("x").info("next")
    assert journald.receive()["EVENT"] == ["next"]
