"""The faults of a campaign: each hits a running system once, when it is called.

A strike says whom it hit and when, so that recovery can be timed afterwards from what
the jobs wrote down. What it hits is chosen by dice, so that a seed repeats it.
"""

import os
import random
import select
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from tempfile import TemporaryDirectory

from benchmarks.soak.keeper import Keeper
from helpers.home import Home
from queuectl_protocol.vocabulary import Reason
from queuectld.core.job import AttemptEnd
from queuectld.workers.shared import records, spool
from queuectld.workers.shared.records import WorkerRecord


@dataclass(slots=True)
class Blow:
    """What a strike did.

    Attributes:
        kind: the strike's name.
        at: nanoseconds on CLOCK_MONOTONIC, just before the signal.
        killed: SIGKILLs that met a process.
        runs: (sequence number, run) of the jobs that a killed worker ran.
        next: when the next strike fell.
    """

    kind: str
    at: int
    killed: int = 0
    runs: list[tuple[int, int]] = field(default_factory=list)
    next: int = sys.maxsize


@dataclass(frozen=True, slots=True)
class Field:
    """Where strikes fall."""

    home: Home
    keeper: Keeper
    dice: random.Random


Strike = Callable[[Field, Blow], None]


def daemon_killed(field_: Field, blow: Blow) -> None:
    """SIGKILL to the daemon."""
    _kill_daemon(field_, blow)


def daemon_killed_while_starting(field_: Field, blow: Blow) -> None:
    """SIGKILL to the daemon, and to the next one before or just after it is ready."""
    _kill_daemon(field_, blow)
    _pass(field_.dice.uniform(0.02, 0.3))
    _kill_daemon(field_, blow)


def worker_killed(field_: Field, blow: Blow) -> None:
    """SIGKILL to a worker that runs a job."""
    _kill_workers(field_, blow, busy(field_)[:1])


def workers_killed(field_: Field, blow: Blow) -> None:
    """SIGKILL to all workers."""
    _kill_workers(field_, blow, _records(field_))


def daemon_and_workers_killed(field_: Field, blow: Blow) -> None:
    """SIGKILL to the daemon and at once to all workers, as if the machine had died."""
    found = _records(field_)
    _kill_daemon(field_, blow)
    _kill_workers(field_, blow, found)


def workers_and_daemon_killed(field_: Field, blow: Blow) -> None:
    """The same with the daemon stopped first, so that it sees nothing of it."""
    _send(field_, field_.keeper.pid, signal.SIGSTOP)
    _kill_workers(field_, blow, _records(field_))
    _kill_daemon(field_, blow)


def shell_killed(field_: Field, blow: Blow) -> None:
    """SIGKILL to a job's main process only: often a shell with a child."""
    for record in busy(field_)[:1]:
        if record.job_pid is not None:
            blow.killed += _send(field_, record.job_pid, signal.SIGKILL)


def worker_stopped(field_: Field, _blow: Blow) -> None:
    """SIGSTOP to a busy worker: the daemon's own deadline has to end it."""
    for record in busy(field_)[:1]:
        _send(field_, record.pid, signal.SIGSTOP)


def worker_terminated(field_: Field, _blow: Blow) -> None:
    """SIGTERM to a worker."""
    for record in busy(field_)[:1]:
        _send(field_, record.pid, signal.SIGTERM)


def daemon_terminated(field_: Field, _blow: Blow) -> None:
    """SIGTERM to the daemon: it lets running jobs finish, and ends."""
    _send(field_, field_.keeper.pid, signal.SIGTERM)


def daemon_terminated_twice(field_: Field, _blow: Blow) -> None:
    """SIGTERM twice: it interrupts running jobs, and ends."""
    _send(field_, field_.keeper.pid, signal.SIGTERM)
    _pass(0.02)
    _send(field_, field_.keeper.pid, signal.SIGTERM)


def daemon_restarted(field_: Field, _blow: Blow) -> None:
    """SIGUSR1 to the daemon: it ends and leaves its workers to the next one."""
    _send(field_, field_.keeper.pid, signal.SIGUSR1)


def late_result_forged(field_: Field, blow: Blow) -> None:
    """A result is planted in the spool, the daemon killed.

    Its lease is of the past, or of another job that runs: neither is that of its run.
    """
    found = busy(field_)[:1]
    for record in found:
        if record.lease and record.lease > 1 and record.seq and record.run:
            plant(field_.home, record, lease=record.lease - 1)
    _kill_daemon(field_, blow)


STRIKES: tuple[Strike, ...] = (
    daemon_killed,
    daemon_killed_while_starting,
    worker_killed,
    workers_killed,
    daemon_and_workers_killed,
    workers_and_daemon_killed,
    shell_killed,
    worker_stopped,
    worker_terminated,
    daemon_terminated,
    daemon_terminated_twice,
    daemon_restarted,
    late_result_forged,
)

RESTARTS: tuple[Strike, ...] = (daemon_killed, daemon_terminated, daemon_restarted)


def hit(strike: Strike, field_: Field) -> Blow:
    """Let one strike fall; return what it did."""
    blow = Blow(strike.__name__, time.monotonic_ns())
    strike(field_, blow)
    return blow


def plant(home: Home, record: WorkerRecord, *, lease: int) -> None:
    """Put a forged good result into the spool: of a record's run, under any lease.

    A real spooled result of that lease, if one is there, is left alone.
    """
    assert record.seq is not None
    assert record.run is not None
    now = home.now()
    end = AttemptEnd(lease, now - 1, now, Reason.EXIT, exit_code=0)
    whose = (record.store, record.worker, record.seq, record.run)
    # Written elsewhere: a starting daemon sweeps away the drafts of runs that are over.
    with TemporaryDirectory(dir=home.root) as aside:
        spool.write(aside, spool.SpooledResult(*whose, end))
        with suppress(FileExistsError):
            os.link(
                spool.path(aside, lease), spool.path(str(home.root / "spool"), lease)
            )


def busy(field_: Field) -> list[WorkerRecord]:
    """Return the records of workers that run a job, shuffled."""
    return [record for record in _records(field_) if record.job_pid is not None]


def _kill_daemon(field_: Field, blow: Blow) -> None:
    blow.killed += _send(field_, field_.keeper.pid, signal.SIGKILL)


def _kill_workers(field_: Field, blow: Blow, found: list[WorkerRecord]) -> None:
    for record in found:
        if _send(field_, record.pid, signal.SIGKILL):
            blow.killed += 1
            if record.seq and record.run and record.job_pid:
                blow.runs.append((record.seq, record.run))


def _records(field_: Field) -> list[WorkerRecord]:
    found = records.read_all(str(field_.home.root / "workers"))
    found.sort(key=lambda record: record.worker)
    field_.dice.shuffle(found)
    return found


def _send(field_: Field, pid: int, number: int) -> int:
    """Signal a process of the home if it is still there; return 1 if it was."""
    try:
        handle = field_.home._open(pid)
    except ProcessLookupError:
        return 0
    try:
        signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return 0
    finally:
        os.close(handle)
    return 1


def _pass(seconds: float) -> None:
    """Let a moment pass: faults come at random times."""
    select.poll().poll(seconds * 1000)
