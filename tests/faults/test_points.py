"""Killed at named points: between insert and commit, commit and reply, rename and sync.

At each, what was acknowledged is there afterwards, and what ran is on record once.
"""

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from faults.pinpoint import (
    RENAME,
    UNLINK,
    WAL,
    Point,
    frozen,
    killed_at,
    needs_strace,
    start_and_die,
)
from helpers import processes, waiting
from helpers.home import ALONE, Home, a_home

pytestmark = needs_strace

WAITS_ONCE = (
    f"{ALONE} echo $QUEUECTL_ATTEMPT >>runs; "
    "[ $QUEUECTL_ATTEMPT -gt 1 ] || { echo >running; read _ <gate; }; echo done"
)
"""A job whose first run waits for the gate."""


@pytest.fixture
def home() -> Iterator[Home]:
    """A home in which nothing may be left."""
    with a_home() as made:
        yield made


def runs(home: Home) -> list[str]:
    """Return the numbers of the runs that began, as the job wrote them."""
    file = home.work / "runs"
    return file.read_text().split() if file.exists() else []


def restart(home: Home) -> None:
    """Start the next daemon by a command."""
    home.ctl("daemon", "start")


def busy(home: Home) -> tuple[str, int]:
    """Start a worker and a job that waits; return the job and the worker's pid."""
    home.ctl("worker", "start")
    home.gate()
    job = home.enqueue(WAITS_ONCE)
    home.appears("running")
    # The worker has told the daemon, and has written its record.
    pid = home.worker_of(job)["pid"]
    return job, pid


def find(pid: int, home: Home) -> bool:
    """Return whether that process of the home still exists."""
    return processes.find(pid, str(home.root)) is not None


def state_of(pid: int) -> str:
    """Return the state of a process: S when it waits."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def open_gate(home: Home) -> None:
    """Let the job continue."""
    home._gates[0].open()


# -- an enqueue ---------------------------------------------------------------------

ENQUEUE = {
    "after the insert, before the commit is written": Point(("pwrite64",), 1, WAL),
    "while the commit is written": Point(("pwrite64",), 2, WAL),
    "before the commit is synced": Point(("fdatasync", "fsync"), 1, WAL),
    "after the commit, before the reply": Point(("sendto",), 1, main=True),
}


@pytest.mark.parametrize("point", ENQUEUE.values(), ids=list(ENQUEUE))
def test_an_enqueue_that_got_no_reply_can_be_sent_again(
    home: Home, point: Point
) -> None:
    """There is one job, whether the first request was stored or not."""
    home.ctl("daemon", "start")
    job = {"id": "once", "command": f"{ALONE} echo $QUEUECTL_ATTEMPT >>runs"}
    job |= {"cwd": str(home.work)}
    before = home.enqueue("true", id="before")
    with home.connect() as client, killed_at(home, home.daemon, point):
        client.greeting()
        client.send("enqueue", job=job, if_exists="return")
    restart(home)
    again = home.ask("enqueue", job=job, if_exists="return")
    if point.path is None:
        assert not again["created"], "it was committed"
    home.ctl("worker", "start")

    assert home.ended("once")["state"] == "completed"
    assert home.ended(before)["state"] == "completed"
    assert runs(home) == ["1"]
    assert home.ask("status")["completed"] == 2


# -- a claim ------------------------------------------------------------------------


def test_a_claim_that_no_worker_heard_of_is_taken_back(home: Home) -> None:
    """Killed between the claim's commit and the order: the attempt does not count."""
    home.ctl("worker", "start")
    job = home.enqueue(f"{ALONE} echo $QUEUECTL_ATTEMPT >>runs", run_at=soon(home))
    with killed_at(home, home.daemon, Point(("sendto",), 1, main=True)):
        pass  # its time comes
    assert home.edit("SELECT state FROM jobs") == "processing"
    restart(home)
    assert home.ended(job)["attempts"] == 1
    assert home.reasons(job) == ["interrupted", "exit"]
    assert runs(home) == ["2"]


def soon(home: Home) -> str:
    """Return a time on the wire that is late enough to set up the kill."""
    at = home.now() + 1500
    whole = datetime.fromtimestamp(at / 1000, tz=UTC)
    return whole.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def test_a_result_that_was_committed_is_not_told_again(home: Home) -> None:
    """Killed after a finish and the next claim: the worker spools a known result."""
    first, worker = busy(home)
    second = home.enqueue(f"{ALONE} echo second >>runs")
    daemon = home.daemon
    with ExitStack() as held:
        with killed_at(home, daemon, Point(("sendto",), 1, main=True)):
            home.send(daemon, signal.SIGSTOP)
            open_gate(home)
            waiting.until(lambda: not processes.below(worker), "the job has ended")
            waiting.until(lambda: state_of(worker) == "S", "it has told, and waits")
            held.enter_context(frozen(worker))
            home.send(daemon, signal.SIGCONT)
        restart(home)

    assert home.ended(second)["state"] == "completed"
    assert home.reasons(first) == ["exit"]
    assert home.reasons(second) == ["interrupted", "exit"]
    waiting.until(lambda: not list((home.root / "spool").iterdir()), "it is forgotten")
    assert runs(home) == ["1", "second"]


# -- a worker -----------------------------------------------------------------------

WORKER = {
    "after the spawn, before its record": Point(("pwrite64",), 1),
    "after the job's exit, before the report": Point(("write",), 1),
}


@pytest.mark.parametrize("point", WORKER.values(), ids=list(WORKER))
def test_a_worker_that_dies_in_a_run_loses_it(home: Home, point: Point) -> None:
    """The attempt is lost, leaves no processes, and the next one begins."""
    home.ctl("worker", "start")
    (worker,) = home.workers()
    with killed_at(home, worker["pid"], point):
        job = home.enqueue(f"{ALONE} echo $QUEUECTL_ATTEMPT >>runs; sleep 0.05")
    assert home.ended(job)["state"] == "completed"
    assert home.reasons(job) == ["lost", "exit"]
    assert not home.overlapped()
    assert runs(home)[-1] == "2"


def test_a_worker_that_dies_after_the_commit_loses_nothing(home: Home) -> None:
    """Killed when it removes its empty output file: the job is completed already."""
    home.ctl("worker", "start")
    (worker,) = home.workers()
    with killed_at(home, worker["pid"], Point(UNLINK, 1)):
        job = home.enqueue(f"{ALONE} echo $QUEUECTL_ATTEMPT >>runs")
    assert home.ended(job)["state"] == "completed"
    assert (home.reasons(job), runs(home)) == (["exit"], ["1"])


# -- a result -----------------------------------------------------------------------

FINISH = {
    "before the result's commit is written": Point(("pwrite64",), 1, WAL),
    "before it is synced": Point(("fdatasync", "fsync"), 1, WAL),
    "after it, before the worker is told": Point(("sendto",), 1, main=True),
}


@pytest.mark.parametrize("point", FINISH.values(), ids=list(FINISH))
def test_a_reported_result_is_recorded_once(home: Home, point: Point) -> None:
    """The worker keeps it until it is acknowledged; the next daemon records it once."""
    job, worker = busy(home)
    with killed_at(home, home.daemon, point):
        open_gate(home)
    waiting.until(lambda: not find(worker, home), "the worker has ended")
    restart(home)
    assert home.ended(job)["state"] == "completed"
    assert (home.reasons(job), runs(home)) == (["exit"], ["1"])
    assert home.output(job) == "done\n"
    assert list((home.root / "spool").iterdir()) == []


SPOOL = {
    "before the result is synced": (Point(("fsync",), 1), ["lost", "exit"]),
    "before it has its name": (Point(RENAME, 1), ["lost", "exit"]),
    "before the directory is synced": (Point(("fsync",), 2), ["exit"]),
}


@pytest.mark.parametrize(("point", "reasons"), SPOOL.values(), ids=list(SPOOL))
def test_a_worker_that_dies_while_it_spools(
    home: Home, point: Point, reasons: list[str]
) -> None:
    """The result counts once its file has its final name; a draft is removed."""
    job, worker = busy(home)
    home.kill(home.daemon)
    with killed_at(home, worker, point):
        open_gate(home)
    restart(home)
    assert home.ended(job)["state"] == "completed"
    assert home.reasons(job) == reasons
    assert runs(home) == [str(n + 1) for n in range(len(reasons))]
    assert list((home.root / "spool").iterdir()) == []


SETTLE = {
    "before its first write": Point(("pwrite64",), 1, WAL),
    "later in its writes": Point(("pwrite64",), 5, WAL),
    "before its first sync": Point(("fdatasync", "fsync"), 1, WAL),
    "after the commit, before the spool file goes": Point(
        UNLINK, 1, "spool/LEASE.json"
    ),
}


@pytest.mark.parametrize("point", SETTLE.values(), ids=list(SETTLE))
def test_a_daemon_that_dies_while_it_recovers(home: Home, point: Point) -> None:
    """The next daemon finds the same result, or finds it recorded."""
    job, worker = busy(home)
    home.kill(home.daemon)
    open_gate(home)
    waiting.until(lambda: not find(worker, home), "the worker has ended")
    spool = home.root / "spool"
    (file,) = spool.iterdir()
    path = point.path and point.path.replace("LEASE", file.stem)
    assert start_and_die(
        home,
        replace(point, path=path),
        lambda: home.answers() and not list(spool.iterdir()),
    )
    restart(home)
    assert home.ended(job)["state"] == "completed"
    assert (home.reasons(job), runs(home)) == (["exit"], ["1"])
    assert list((home.root / "spool").iterdir()) == []


# -- pruning and the first start -----------------------------------------------------

PRUNE = {
    "before the first file goes": Point(UNLINK, 1),
    "in the midst of the files": Point(UNLINK, 8),
    "before the rows go": Point(("pwrite64",), 1, WAL),
    "before that is synced": Point(("fdatasync", "fsync"), 1, WAL),
}


@pytest.mark.parametrize("point", PRUNE.values(), ids=list(PRUNE))
def test_a_prune_that_was_cut_short_can_be_done_again(home: Home, point: Point) -> None:
    """No row and no output remains for ever, and waiting jobs are untouched."""
    home.ctl("worker", "start", "--count", "2")
    jobs = [home.enqueue("echo out; echo err >&2") for _ in range(8)]
    for job in jobs:
        home.ended(job)
    home.ctl("worker", "stop")
    waits = home.enqueue("true")
    with home.connect() as client, killed_at(home, home.daemon, point):
        client.send("prune")
    restart(home)
    for job in (seen["id"] for seen in home.ask("list")["jobs"] if seen["id"] != waits):
        assert home.job(job)["state"] == "completed"
    home.ctl("prune")
    assert [seen["id"] for seen in home.ask("list")["jobs"]] == [waits]
    assert [file for file in (home.root / "output").rglob("*") if file.is_file()] == []
    assert home.ask("status")["completed"] == 0


FIRST = {"a write": (("pwrite64",), 9), "a sync": (("fdatasync", "fsync"), 3)}


@pytest.mark.parametrize(("calls", "step"), FIRST.values(), ids=list(FIRST))
def test_a_first_start_that_was_cut_short_is_made_good(
    home: Home, calls: tuple[str, ...], step: int
) -> None:
    """A daemon killed repeatedly while it makes its schema finally succeeds."""
    died = 0
    while start_and_die(home, Point(calls, 1 + died * step), home.answers):
        died += 1
        assert died < 100
    assert died > 1
    home.ctl("worker", "start")
    assert home.ended(home.enqueue("true"))["state"] == "completed"
    home.ask("daemon.stop", now=True)
    waiting.until(home.gone, "it ends")
    assert home.edit("PRAGMA integrity_check") == "ok"
