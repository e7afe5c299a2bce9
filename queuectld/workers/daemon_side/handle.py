"""A worker process as the daemon knows it."""

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
    """The attempt a worker has been given.

    Attributes:
        started_at: milliseconds since 1970.
        deadline: monotonic; when it passes, worker and job are killed. None: never.
        end_reason: why the daemon ends it; the reason on record if the worker cannot
            report one any more.
        reported: the worker told how it ended; what is left is to record it.
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
        """Whether somebody wanted it to end: an operator, or who cancelled the job."""
        return self.end_reason in {Reason.INTERRUPTED, Reason.CANCELLED}

    def about(self) -> dict[str, int | str]:
        """Return what the log says of it, under the names of ``jobevents``."""
        return {
            "job_id": self.job_id,
            "worker": self.worker,
            "run": self.run,
            "lease": self.lease,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Reservation:
    """Owns a worker that is there for one job alone.

    Attributes:
        peer: the connection that asked for it, and with which it ends.
        seq: the job.
    """

    peer: object
    seq: int


@dataclass(slots=True, eq=False)
class WorkerHandle:
    """One worker process.

    Attributes:
        number: unique for the life of the store.
        pidfd: tells when the process ends, and signals it and no other.
        link: None for an adopted worker: one that another daemon started, which
            finishes its job, leaves the result in the spool and ends.
        owner: whose it is: None for the pool's own, else the connection it is bound to,
            or a ``Reservation``.
        started_at: milliseconds since 1970.
        ready: it said that it can take jobs.
        stopping: it gets no further job.
        leave_by: monotonic; stopping and idle, it must have ended by then. None: not
            known yet.
        claiming: a claim for it is under way.
        env_key: the environment it was sent last; b"" stands for the minimal one.
        gone: set when the process has ended and its attempt is recorded.
    """

    number: int
    pid: int
    pidfd: int
    link: Channel | None
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
        return self.link is None

    @property
    def only_for(self) -> int | None:
        """The sequence number of the one job it is there for; None: for all."""
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
        """Whether nothing is left for it to do but to end."""
        return self.stopping and self.attempt is None and not self.claiming

    @property
    def state(self) -> WorkerState:
        """What it does, in one word."""
        if self.stopping:
            return WorkerState.STOPPING
        if self.attempt is not None:
            return WorkerState.BUSY
        return WorkerState.IDLE if self.ready else WorkerState.STARTING


def attempt_of(worker: int, job: Job) -> RunningAttempt:
    """Return the attempt of a job in ``processing`` that this worker has."""
    assert job.lease is not None
    assert job.started_at is not None
    return RunningAttempt(worker, job.seq, job.runs, job.lease, job.id, job.started_at)
