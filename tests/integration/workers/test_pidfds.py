"""A signal reaches the process that it is for, or none."""

import asyncio
import errno
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from helpers.asynchronous import asynchronous
from helpers.jobs import NOW
from queuectl_protocol.vocabulary import Reason
from queuectld.clock import SystemClock
from queuectld.linux import pidfd, procfs
from queuectld.linux.procfs import ProcessId
from queuectld.workers.daemon_side.handle import RunningAttempt
from queuectld.workers.daemon_side.pool import Pool
from queuectld.workers.daemon_side.worker_config import WorkerConfig
from queuectld.workers.shared.records import WorkerRecord

CONFIG = WorkerConfig("store", "output", "spool", "workers", "socket")


@contextmanager
def a_process() -> Iterator["subprocess.Popen[bytes]"]:
    """Start a process that repeats its input."""
    with subprocess.Popen(
        ["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def lives(process: "subprocess.Popen[bytes]") -> bool:
    """Whether the process survived the signals that it was sent before."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"hello\n")
    return process.stdout.readline() == b"hello\n"


def record_of(pid: int) -> WorkerRecord:
    """Return the record that this process would write if it were a worker."""
    ticks = procfs.start_ticks(pid)
    assert ticks is not None
    return WorkerRecord("store", 1, procfs.boot_id(), pid, ticks)


@pytest.mark.parametrize("grace", [0.0, 5.0])
@asynchronous
async def test_a_pidfd_that_was_closed_is_not_signalled_through(grace: float) -> None:
    """No signal goes through a closed pidfd, whose number may be another's by then."""
    gone = asyncio.Event()
    observer: Any = SimpleNamespace(worker_gone=lambda _worker: gone.set())
    pool = Pool(CONFIG, SystemClock())
    pool.report_to(observer)
    with a_process() as ended, a_process() as other:
        handle = os.pidfd_open(ended.pid)
        run = RunningAttempt(
            worker=1, seq=1, run=1, lease=1, job_id="1", started_at=NOW
        )
        worker = pool.adopt(record_of(ended.pid), handle, run)
        ended.kill()
        await gone.wait()
        assert os.pidfd_open(other.pid) == handle, "the number is used again"
        try:
            pool.end_attempt(worker, Reason.INTERRUPTED, grace)
            pool.kill(worker)
            assert lives(other)
        finally:
            os.close(handle)


@asynchronous
async def test_a_worker_of_another_users_is_left_to_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A worker that root's daemon started cannot be signalled: that is logged."""

    def refuse(_pidfd: int, _number: int) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    observer: Any = SimpleNamespace(worker_gone=lambda _worker: None)
    pool = Pool(CONFIG, SystemClock())
    pool.report_to(observer)
    with a_process() as theirs:
        run = RunningAttempt(
            worker=1, seq=1, run=1, lease=1, job_id="1", started_at=NOW
        )
        handle = os.pidfd_open(theirs.pid)
        worker = pool.adopt(record_of(theirs.pid), handle, run)
        monkeypatch.setattr(signal, "pidfd_send_signal", refuse)
        pool.end_attempt(worker, Reason.CANCELLED, 0.0)
        pool.kill(worker)
        assert lives(theirs)
        theirs.kill()


def test_a_pid_that_is_a_threads_now_is_nobodys() -> None:
    """A pid that is a thread's now counts as a process that has ended."""
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    try:
        assert thread.native_id is not None
        ticks = procfs.start_ticks(thread.native_id)
        assert ticks is not None, "it looks like a process"
        target = ProcessId(thread.native_id, ticks)
        assert pidfd.acquire(target) is None
        assert not pidfd.send(target, 0)
    finally:
        over.set()
        thread.join()
