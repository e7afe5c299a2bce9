"""A late result of an earlier attempt is refused on every way it can arrive."""

import ctypes
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks.soak.strikes import plant
from helpers import waiting
from helpers.home import ALONE, Home, a_home
from queuectl_protocol.vocabulary import Reason
from queuectld.core.job import AttemptEnd
from queuectld.workers.shared import messages, records

PIDFD_GETFD = 438
"""Number of the system call, the same on every machine; see pidfd_getfd(2)."""

WAITS = f"{ALONE} echo $QUEUECTL_ATTEMPT >>runs; echo >running; read _ <gate"


@pytest.fixture
def home() -> Iterator[Home]:
    """A home in which nothing may be left."""
    with a_home() as made:
        yield made


def second_run(home: Home) -> tuple[str, records.WorkerRecord]:
    """Lose a job's first run and hold the second; return its worker's record."""
    home.ctl("worker", "start")
    home.configure(backoff_max="0.05")
    home.gate()
    job = home.enqueue(WAITS)
    home.appears("running")
    home.kill(home.worker_of(job)["pid"])
    waiting.until(lambda: len(runs(home)) == 2, "it runs again")
    worker = home.worker_of(job)
    found = records.read(records.file_of(str(home.root / "workers"), worker["worker"]))
    assert found is not None
    return job, found


def runs(home: Home) -> list[str]:
    """Return the numbers of the runs that began."""
    return (home.work / "runs").read_text().split()


def go_on(home: Home, job: str) -> None:
    """Let the second run end; it completes the job, and not the late result."""
    assert home.job(job)["state"] == "processing"
    home._gates[0].open()
    assert home.ended(job)["state"] == "completed"
    assert home.reasons(job) == ["lost", "exit"]
    assert runs(home) == ["1", "2"]


def test_a_late_result_in_the_spool_is_refused(home: Home) -> None:
    """A success under the lost run's lease is found by the next daemon."""
    job, record = second_run(home)
    lost, _ = home.attempts(job)
    home.kill(home.daemon)
    plant(home, record, lease=lost["lease"])
    home.ctl("daemon", "start")
    assert list((home.root / "spool").iterdir()) == []
    go_on(home, job)


@pytest.mark.parametrize("other", [{"seq": 99}, {"run": 99}, {"store": "another"}])
def test_a_result_of_another_run_under_this_lease_is_refused(
    home: Home, other: dict[str, Any]
) -> None:
    """As when the database was replaced while a worker of the old one continued."""
    job, record = second_run(home)
    assert record.lease is not None
    home.kill(home.daemon, record.pid)
    plant(home, record._replace(**other), lease=record.lease)
    home.ctl("daemon", "start")
    waiting.until(lambda: len(runs(home)) == 3, "it runs once more")
    home._gates[0].open()
    assert home.ended(job)["state"] == "completed"
    assert home.reasons(job) == ["lost", "lost", "exit"]
    (aside,) = (home.root / "spool").iterdir()
    assert aside.name == f"{record.lease}.json.bad"
    aside.unlink()


def test_a_late_result_on_a_workers_link_is_refused(home: Home) -> None:
    """It arrives from the worker that runs the job now; the daemon logs the refusal."""
    job, record = second_run(home)
    lost, _ = home.attempts(job)
    now = home.now()
    end = AttemptEnd(lost["lease"], now - 1, now, Reason.EXIT, exit_code=0)
    link = taken(record.pid, messages.FD)
    os.write(link, messages.encode(messages.Finished(end)))
    os.close(link)
    waiting.until(lambda: "result_refused" in home.log(), "it is refused")
    go_on(home, job)


def test_a_worker_that_comes_back_too_late_is_not_there_any_more(home: Home) -> None:
    """A worker stopped past its timeout is killed: SIGCONT cannot continue it."""
    home.ctl("worker", "start")
    home.configure(kill_grace="0")
    job = home.enqueue(
        f"{ALONE} echo $QUEUECTL_ATTEMPT >>runs; "
        "[ $QUEUECTL_ATTEMPT -gt 1 ] || sleep 9",
        timeout=0.5,
        backoff_max=0,
    )
    waiting.until((home.work / "runs").exists, "it runs")
    pid = home.worker_of(job)["pid"]
    home.send(pid, signal.SIGSTOP)
    assert home.ended(job)["state"] == "completed"
    home.send(pid, signal.SIGCONT)
    assert home.reasons(job) == ["timeout", "exit"]
    assert runs(home) == ["1", "2"]
    assert not home.overlapped()


def taken(pid: int, fd: int) -> int:
    """Return a descriptor of what another process has open."""
    handle = os.pidfd_open(pid)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        found = libc.syscall(PIDFD_GETFD, handle, fd, 0)
        assert found >= 0, os.strerror(ctypes.get_errno())
        return int(found)
    finally:
        os.close(handle)
