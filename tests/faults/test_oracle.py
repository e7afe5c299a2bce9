"""The oracle itself: each of its checks reports a violation forged for it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.soak import oracle, recorder
from benchmarks.soak.evidence import Evidence, Line, Output, leftovers
from benchmarks.soak.ledger import Ledger, Task
from helpers.home import Home, a_home

Forge = Callable[[Evidence], object]

LEASE = 7


def good(folder: Path) -> Evidence:
    """Return the evidence of a run of two jobs in which all is as it should be.

    The first was lost once and then completed; the second was cancelled.
    """
    ledger = Ledger()
    for name in ("a", "b"):
        task = Task(name, str(folder / name), 10, size=50)
        ledger.ask(task)
        job = {"id": name, "created_at": "1970-01-01T00:00:01.000Z"}
        ledger.promise(task, {"job": job, "created": True})
    ledger.cancel("b")
    evidence = Evidence(ledger, dict.fromkeys(oracle.STATES, 0))
    evidence.status |= {"completed": 1, "cancelled": 1}
    evidence.counts = {"completed": 1, "cancelled": 1, "pending": 0}
    evidence.jobs = {
        "a": row(1, state="completed", runs=2, attempts=2),
        "b": row(2, state="cancelled", runs=0, attempts=0),
    }
    evidence.attempts = {
        1: [
            attempt(1, LEASE, reason="lost", stdout_bytes=8),
            attempt(2, LEASE + 1, reason="exit", exit_code=0, stdout_bytes=64),
        ]
    }
    evidence.traces = {
        "a": [
            Line("start", 1, LEASE, 100, 10),
            Line("alive", 1, LEASE, 100, 20),
            Line("start", 2, LEASE + 1, 101, 30),
            Line("alive", 2, LEASE + 1, 101, 40),
            Line("end", 2, LEASE + 1, 101, 50),
        ],
        "b": [],
    }
    write(evidence, folder / f"1.1.{LEASE}.out", recorder.output(1, 50)[:8])
    write(evidence, folder / f"1.2.{LEASE + 1}.out", recorder.output(2, 50))
    evidence.integrity = ["ok"]
    return evidence


def row(seq: int, **fields: Any) -> dict[str, Any]:
    """Return a row of the table of jobs."""
    return {"seq": seq, "lease": None, "created_at": 1000, **fields}


def attempt(run: int, lease: int, **fields: Any) -> dict[str, Any]:
    """Return a row of the table of attempts."""
    sizes = {"stdout_bytes": 0, "stderr_bytes": 0}
    return {"job": 1, "run": run, "lease": lease, "exit_code": None, **sizes, **fields}


def write(evidence: Evidence, file: Path, data: bytes) -> None:
    """Put a file of output there."""
    file.write_bytes(data)
    evidence.outputs.append(Output(file, len(data)))


def line(evidence: Evidence, place: int, **changes: Any) -> None:
    """Forge a line that the first job wrote."""
    lines = evidence.traces["a"]
    lines[place] = replace(lines[place], **changes)


def again(evidence: Evidence, *, exit_code: int = 0) -> None:
    """Forge an attempt after the successful one."""
    third = attempt(3, LEASE + 2, reason="exit", exit_code=exit_code)
    evidence.attempts[1].append(third)
    evidence.jobs["a"] |= {"runs": 3, "attempts": 3}


def truncate(evidence: Evidence, place: int) -> None:
    """Forge truncated output whose file and record have the same size."""
    output = evidence.outputs[place]
    output.path.write_bytes(output.path.read_bytes()[:-1])
    evidence.outputs[place] = Output(output.path, output.size - 1)
    evidence.attempts[1][place]["stdout_bytes"] -= 1


FORGED: dict[str, tuple[str, Forge]] = {
    "a job is gone": (
        "acknowledged_jobs_exist",
        lambda e: e.jobs.pop("a"),
    ),
    "a job was made anew": (
        "acknowledged_jobs_exist",
        lambda e: e.jobs["a"].update(created_at=1001),
    ),
    "a job nobody asked for": (
        "acknowledged_jobs_exist",
        lambda e: e.jobs.update(c=row(3, state="completed", runs=0, attempts=0)),
    ),
    "a job is stuck": (
        "all_jobs_are_final",
        lambda e: e.jobs["a"].update(state="processing"),
    ),
    "a job is dead": (
        "all_jobs_are_final",
        lambda e: e.jobs["a"].update(state="dead"),
    ),
    "a cancelled job completed": (
        "all_jobs_are_final",
        lambda e: e.jobs["b"].update(state="completed"),
    ),
    "a job was cancelled by nobody": (
        "all_jobs_are_final",
        lambda e: e.ledger.cancelled.clear(),
    ),
    "two successes": ("completed_once", again),
    "a failure after the success": (
        "completed_once",
        lambda e: again(e, exit_code=1),
    ),
    "completed without a success": (
        "completed_once",
        lambda e: e.attempts[1][1].update(exit_code=1),
    ),
    "completed without an attempt": (
        "completed_once",
        lambda e: e.attempts.clear(),
    ),
    "a run that is not on record": (
        "ran_as_recorded",
        lambda e: e.traces["a"].append(Line("start", 3, LEASE + 2, 102, 60)),
    ),
    "a run under another lease": (
        "ran_as_recorded",
        lambda e: line(e, 0, lease=LEASE - 1),
    ),
    "a success that never ended": (
        "ran_as_recorded",
        lambda e: e.traces["a"].pop(),
    ),
    "a success that never ran": (
        "ran_as_recorded",
        lambda e: e.traces["a"].clear(),
    ),
    "the lock was held": (
        "no_overlap",
        lambda e: line(e, 2, event="overlap"),
    ),
    "an old run lives on": (
        "no_overlap",
        lambda e: e.traces["a"].append(Line("alive", 1, LEASE, 100, 60)),
    ),
    "a run begins twice": (
        "no_overlap",
        lambda e: e.traces["a"].insert(1, Line("start", 1, LEASE, 103, 15)),
    ),
    "a run without a start": (
        "no_overlap",
        lambda e: e.traces["a"].pop(2),
    ),
    "a run older than the one before it": (
        "no_overlap",
        lambda e: line(e, 2, at=5),
    ),
    "a run is missing": (
        "attempts_add_up",
        lambda e: e.attempts[1].pop(0),
    ),
    "leases go backwards": (
        "attempts_add_up",
        lambda e: e.attempts[1][0].update(lease=LEASE + 9),
    ),
    "a lease was given twice": (
        "attempts_add_up",
        lambda e: e.attempts[1][0].update(lease=LEASE + 1),
    ),
    "a final job holds a lease": (
        "attempts_add_up",
        lambda e: e.jobs["a"].update(lease=LEASE),
    ),
    "a retry was charged twice": (
        "attempts_add_up",
        lambda e: e.jobs["a"].update(attempts=3),
    ),
    "attempts of no job": (
        "attempts_add_up",
        lambda e: e.attempts.update({9: [attempt(1, 99, reason="lost")]}),
    ),
    "status is wrong": (
        "counters_agree",
        lambda e: e.status.update(completed=2),
    ),
    "a counter is wrong": (
        "counters_agree",
        lambda e: e.counts.update(pending=1),
    ),
    "a row changed its state alone": (
        "counters_agree",
        lambda e: e.jobs["a"].update(state="failed"),
    ),
    "output is cut off": (
        "outputs_are_whole",
        lambda e: truncate(e, 1),
    ),
    "output of a lost run is not its beginning": (
        "outputs_are_whole",
        lambda e: e.outputs[0].path.write_bytes(b"rubbish!"),
    ),
    "a size on record is wrong": (
        "outputs_are_whole",
        lambda e: e.attempts[1][0].update(stdout_bytes=9),
    ),
    "the output of a success is gone": (
        "outputs_are_whole",
        lambda e: e.outputs.pop(),
    ),
    "a file of no attempt": (
        "outputs_are_whole",
        lambda e: write(e, e.outputs[0].path.with_name("5.1.99.out"), b""),
    ),
    "something is left": (
        "nothing_is_left",
        lambda e: e.left.append("process 1: sleep"),
    ),
    "the database is damaged": (
        "database_is_sound",
        lambda e: e.integrity.insert(0, "row 5 missing from index"),
    ),
}


def test_a_good_run_is_found_good(tmp_path: Path) -> None:
    """No check reports a violation in a correct run."""
    assert oracle.judge(good(tmp_path)) == []


@pytest.mark.parametrize(("check", "forge"), FORGED.values(), ids=list(FORGED))
def test_a_forged_violation_is_noticed(
    tmp_path: Path, check: str, forge: Forge
) -> None:
    """The check for that violation reports it."""
    evidence = good(tmp_path)
    forge(evidence)
    found = oracle.judge(evidence)
    assert any(said.startswith(f"{check}: ") for said in found), found


def test_every_check_has_a_forged_violation() -> None:
    """A check that never failed in a test proves nothing."""
    assert {check for check, _ in FORGED.values()} == {
        check.__name__ for check in oracle.CHECKS
    }


LEFT: dict[str, tuple[str, Callable[[Home], object]]] = {
    "a process": ("process", lambda home: home.begin("60", program="/bin/sleep")),
    "a socket": ("socket", lambda home: home.socket.touch()),
    "a record": ("workers", lambda home: (home.root / "workers/1.json").touch()),
    "a draft": ("spool", lambda home: (home.root / "spool/1.json.tmp").touch()),
    "a log of the database": (
        "queuectl.db-wal",
        lambda home: (home.root / "queuectl.db-wal").touch(),
    ),
}


@pytest.mark.parametrize(("said", "leave"), LEFT.values(), ids=list(LEFT))
def test_what_is_left_is_found(said: str, leave: Callable[[Home], object]) -> None:
    """Leftovers of every kind are reported."""
    with a_home() as home:
        ran(home)
        assert list(leftovers(home)) == []
        leave(home)
        assert any(found.startswith(said) for found in leftovers(home))
        undo(home)


def test_a_held_lock_is_found() -> None:
    """The lock is held by a daemon that only seems to have ended."""
    with a_home() as home:
        ran(home)
        home.ctl("daemon", "start")
        assert "the lock is held" in list(leftovers(home))


def ran(home: Home) -> None:
    """Run a daemon in the home until it has started, and stop it."""
    home.ctl("daemon", "start")
    home.stop()


def undo(home: Home) -> None:
    """Remove the leftovers."""
    home.clean_up()
    for file in (home.socket, home.root / "queuectl.db-wal"):
        file.unlink(missing_ok=True)
    for folder in ("workers", "spool"):
        for file in (home.root / folder).iterdir():
            file.unlink()
