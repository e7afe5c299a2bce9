"""The log: one line a record, whatever the record carries."""

import json
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queuectl_protocol.units import parse_time
from queuectld.host import logs

CREATED = 1_795_501_800.123
"""2026-11-24T06:30:00.123Z"""


def record(
    event: str, level: int = logging.INFO, /, **fields: Any
) -> logging.LogRecord:
    made = logging.LogRecord("queuectld.x", level, __file__, 1, event, None, None)
    made.created = CREATED
    made.fields = fields
    return made


def text(event: str, **fields: Any) -> str:
    """Return the text line of an event, from its level on."""
    return logs.TextFormatter().format(record(event, **fields))[25:]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """``logs.start``; the process's log is put back afterwards."""
    monkeypatch.setattr(logging, "raiseExceptions", logging.raiseExceptions)
    level = logging.getLogger().level
    yield logs.start
    logs.stop()
    logging.getLogger().setLevel(level)


def test_a_record_is_a_line_of_time_level_event_and_fields() -> None:
    """The form that the docs promise, to the millisecond."""
    line = logs.TextFormatter().format(record("worker_started", worker=3, pid=123))
    assert line == "2026-11-24T06:30:00.123Z INFO worker_started worker=3 pid=123"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("plain", "plain"),
        ("/var/lib/queuectl", "/var/lib/queuectl"),
        (Path("/a b"), '"/a b"'),
        ("", '""'),
        ("a=b", '"a=b"'),
        ('say "hi"', r'"say \"hi\""'),
        ("back\\slash", r'"back\\slash"'),
        ("two\nlines\r\tx", r'"two\nlines\r\tx"'),
        ("\x1b[31mred\x7f\x85", r'"\x1b[31mred\x7f\x85"'),
        ("\u2028\u202eevil", r'"\u2028\u202eevil"'),
        ("\U000e0001", r'"\U000e0001"'),
        ("caf\udce9", r'"caf\udce9"'),
        ("grün", "grün"),
        (b"\xffbytes", r'"\\xffbytes"'),
        (None, "null"),
        (True, "true"),
        (1.5, "1.5"),
        (float("nan"), "nan"),
        ([1, "two words", None], '1,"two words",null'),
        ({"a": 1}, "\"{'a': 1}\""),
    ],
)
def test_values_are_quoted_when_they_need_it(value: object, written: str) -> None:
    """A value is one word; what could end the line or steer a terminal is escaped."""
    assert text("x", v=value) == f"INFO x v={written}"


@given(st.text(), st.sampled_from([logs.TextFormatter(), logs.JsonFormatter()]))
def test_any_text_stays_on_its_line(
    value: str, formatter: logs.TextFormatter | logs.JsonFormatter
) -> None:
    """Neither an event nor a value can contain an unprintable character."""
    line = formatter.format(record(value, field=value))
    assert line.isprintable()
    assert len(line.splitlines()) == 1


def test_a_long_value_keeps_its_beginning_and_its_end() -> None:
    """A value is cut in the middle before journald would cut the line."""
    line = text("x", v="a" * logs.VALUE_MAX + "b" * logs.VALUE_MAX)
    assert len(line) < logs.VALUE_MAX + 50
    assert line.startswith("INFO x v=aaa")
    assert "a…b" in line
    assert line.endswith("bbb")


def test_an_exception_is_a_field_with_its_traceback_in_another(
    started: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    """The traceback is there for developers, on the same line."""
    started(level="info", log_format="text")
    events = logs.get("x")
    events.exception("failed", ValueError("bad\nthing"), job="7")
    err = capsys.readouterr().err
    assert r' ERROR failed job=7 error="ValueError: bad\nthing" traceback="Val' in err
    assert err.count("\n") == 1


def test_json_is_a_flat_object_with_the_same_content() -> None:
    """Collectors get types; names of the frame's own keys are not lost."""
    line = logs.JsonFormatter().format(
        record("worker_started", worker=3, ok=True, path=Path("/a"), event="mine")
    )
    assert json.loads(line) == {
        "time": "2026-11-24T06:30:00.123Z",
        "level": "info",
        "logger": "queuectld.x",
        "event": "worker_started",
        "worker": 3,
        "ok": True,
        "path": "/a",
        "event_": "mine",
    }


@pytest.mark.parametrize(
    ("level", "prefix"),
    [
        (logging.DEBUG, "<7>DEBUG"),
        (logging.INFO, "<6>INFO"),
        (logging.WARNING, "<4>WARNING"),
        (logging.ERROR, "<3>ERROR"),
        (logging.CRITICAL, "<3>CRITICAL"),
    ],
)
def test_the_journal_gets_a_priority_and_no_time(level: int, prefix: str) -> None:
    """The journal adds the time; the prefix sets the priority of the entry."""
    formatter = logs.TextFormatter(journal=True)
    assert formatter.format(record("x", level, a=1)) == f"{prefix} x a=1"
    as_json = logs.JsonFormatter(journal=True).format(record("x", level))
    assert as_json.startswith(prefix[:3] + "{")


def test_a_librarys_record_takes_the_same_form() -> None:
    """A record of asyncio is an event of that name, with the traceback."""
    error = OSError("lost")
    made = logging.LogRecord(
        "asyncio", logging.ERROR, "", 1, "Task %s", ("a",), (OSError, error, None)
    )
    line = logs.TextFormatter().format(made)
    assert 'ERROR asyncio message="Task a" error="OSError: lost" traceback="' in line
    assert "\n" not in line


def test_records_go_to_stderr_from_the_chosen_level_on(
    started: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    """What is below the level is not written; stdout stays clean."""
    started(level="warning", log_format="text")
    events = logs.get("test")
    events.info("quiet")
    events.warning("loud", job="7")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith(" WARNING loud job=7\n")
    assert err.count("\n") == 1


def test_starting_again_replaces_the_first_log(
    started: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    """No record is ever written twice."""
    started(level="info", log_format="text")
    started(level="info", log_format="json")
    logs.get("test").info("once")
    assert json.loads(capsys.readouterr().err)["event"] == "once"


def test_level_and_format_change_while_it_runs(
    started: Callable[..., None], tmp_path: Path
) -> None:
    """A reload changes what is written, but not where."""
    file = tmp_path / "log"
    started(level="info", log_format="text", file=file)
    logs.adjust(level="debug", log_format="json")
    logs.get("test").debug("seen")
    assert json.loads(file.read_text())["event"] == "seen"


def test_a_log_file_is_private_and_made_at_the_first_record(
    started: Callable[..., None], tmp_path: Path
) -> None:
    """A daemon that never logs leaves no file; only its owner can read one."""
    file = tmp_path / "log"
    started(level="info", log_format="text", file=file)
    assert not file.exists()
    logs.get("test").info("first")
    assert file.stat().st_mode & 0o777 == 0o600
    when = file.read_text().split()[0]
    assert parse_time(when) > 0


def test_a_log_file_is_no_journal(
    started: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where stderr leads does not matter to a file: its lines have their times."""
    file = tmp_path / "log"
    journal = logging.StreamHandler()
    started(level="info", log_format="text", file=file, journal=journal)
    logs.get("test").info("first")
    when, rest = file.read_text().split(" ", 1)
    assert parse_time(when) > 0
    assert rest == "INFO first\n"
    assert capsys.readouterr().err == ""


def test_a_part_can_ask_whether_an_event_would_be_logged(
    started: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    """Fields of records that are not logged cost nothing; a level can be a variable."""
    started(level="info", log_format="text")
    events = logs.get("test")
    assert events.enabled(logging.INFO)
    assert not events.enabled(logging.DEBUG)
    for level in (logging.DEBUG, logging.WARNING):
        events.log(level, "seen", job_id="7")
    assert capsys.readouterr().err.endswith(" WARNING seen job_id=7\n")
    logs.adjust(level="debug", log_format="text")
    assert events.enabled(logging.DEBUG)


def test_a_log_file_is_rotated(
    started: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There are never more than FILES files, each within its size."""
    monkeypatch.setattr(logs, "FILE_SIZE", 1000)
    started(level="info", log_format="text", file=tmp_path / "log")
    events = logs.get("test")
    for number in range(100):
        events.info("tick", number=number)
    files = {file.name: file for file in tmp_path.iterdir()}
    assert sorted(files) == ["log", "log.1", "log.2"]
    assert all(file.stat().st_size <= 1000 for file in files.values())
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in files.values())
    assert files["log"].read_text().endswith(" number=99\n")


def test_a_log_that_cannot_be_written_stops_nobody(
    started: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A full disk or a missing directory raises nothing and prints nothing."""
    started(level="info", log_format="text", file=tmp_path / "gone" / "log")
    logs.get("test").error("lost")
    assert capsys.readouterr() == ("", "")


def test_an_error_of_a_thread_is_logged(
    started: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What Python would print over several lines is one record."""
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    started(level="info", log_format="text")
    logs.catch_stray_errors()
    thread = threading.Thread(target=lambda: 1 / 0, name="store")
    thread.start()
    thread.join()
    err = capsys.readouterr().err
    assert ' ERROR thread_failed thread=store error="ZeroDivisionError' in err
    assert err.count("\n") == 1
