"""A worker process as the daemon knows it, and the attempt that it has."""

import asyncio
from dataclasses import dataclass, field
from enum import StrEnum

from queuectl_protocol.vocabulary import Reason
from queuectld.core.job import Job
from queuectld.workers.daemon_side.channel import Channel


class WorkerState(StrEnum):
    """What a worker does."""

    STARTING = "starting"
    IDLE = "idle"
    BUSY = "busy"
    STOPPING = "stopping"


@dataclass(slots=True, eq=False)
class RunningAttempt:
    """The attempt that a worker has been given.

    Attributes:
        run: which run of the job this is, from 1.
        started_at: milliseconds since 1970.
        deadline: monotonic; when it passes, worker and job are killed. None: never.
        end_reason: why the daemon ends it. Recorded if the worker can no longer
            report.
        reported: the worker has told how it ended; only the record of it is missing.
    """

    worker: int
    seq: int
    run: int
    lease: int
    job_id: str
    started_at: int
    deadline: float | None = None
    end_reason: Reason | None = None
    reported: bool = False

    @property
    def asked(self) -> bool:
        """Whether an operator, or whoever cancelled the job, asked for its end."""
        return self.end_reason in {Reason.INTERRUPTED, Reason.CANCELLED}

    def about(self) -> dict[str, int | str]:
        """Return what the log says of it, under the names of ``host.job_log``."""
        return {
            "job_id": self.job_id,
            "worker": self.worker,
            "run": self.run,
            "lease": self.lease,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Reservation:
    """The owner of a worker that was started for one job alone.

    Attributes:
        peer: the connection that asked for the worker; the worker ends with it.
        seq: the job.
    """

    peer: object
    seq: int


@dataclass(slots=True, eq=False)
class WorkerHandle:
    """One worker process.

    Attributes:
        number: unique for the life of the store.
        pidfd: tells when the process ends; signals through it reach no other process.
        channel: None for an adopted worker. Another daemon started that one; it
            finishes its job, leaves the result in the spool and exits.
        owner: None for the pool's own workers, else the connection that the worker is
            bound to, or a ``Reservation``.
        started_at: milliseconds since 1970.
        ready: it has said that it can take jobs.
        stopping: it gets no further job.
        leave_by: monotonic; a worker that is stopping and has no job must have exited
            by then. None: not known yet.
        claiming: a claim for it is under way.
        env_key: names the environment that it was sent last; b"" is the minimal one.
        gone: set when the process has ended and its attempt is on record.
    """

    number: int
    pid: int
    pidfd: int
    channel: Channel | None
    owner: object | None
    started_at: int
    ready: bool = False
    stopping: bool = False
    leave_by: float | None = None
    claiming: bool = False
    attempt: RunningAttempt | None = None
    env_key: bytes | None = None
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def adopted(self) -> bool:
        """Whether another daemon started it."""
        return self.channel is None

    @property
    def only_for(self) -> int | None:
        """The sequence number of the one job that it may take; None: any job."""
        return self.owner.seq if isinstance(self.owner, Reservation) else None

    @property
    def idle(self) -> bool:
        """Whether it can take a job."""
        return (
            self.ready
            and self.attempt is None
            and not (self.stopping or self.claiming or self.adopted)
        )

    @property
    def leaving(self) -> bool:
        """Whether it has nothing left to do but to exit."""
        return self.stopping and self.attempt is None and not self.claiming

    @property
    def state(self) -> WorkerState:
        """What it does, in one word."""
        if self.stopping:
            return WorkerState.STOPPING
        if self.attempt is not None:
            return WorkerState.BUSY
        return WorkerState.IDLE if self.ready else WorkerState.STARTING

    def about(self) -> dict[str, int | str]:
        """Return what the log says of it, and of the job that it has, if any."""
        about: dict[str, int | str] = {"worker": self.number, "pid": self.pid}
        if self.attempt is not None:
            about |= {"job_id": self.attempt.job_id, "lease": self.attempt.lease}
        return about


def attempt_of(worker: int, job: Job) -> RunningAttempt:
    """Return the attempt of a job in ``processing`` that this worker has."""
    assert job.lease is not None
    assert job.started_at is not None
    return RunningAttempt(worker, job.seq, job.runs, job.lease, job.id, job.started_at)
