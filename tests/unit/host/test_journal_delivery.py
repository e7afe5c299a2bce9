"""How an entry gets into the journal, or to stderr, without blocking the daemon."""

import select
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helpers.journald import StandIn
from queuectld.host import journal, logs


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
