"""The state of the queue as a whole: counts, health, what happened over time."""

from dataclasses import dataclass, field
from datetime import datetime

from queuectl.models.model import TIME, Model, read
from queuectl.models.worker import WorkerCounts


@dataclass(frozen=True, slots=True)
class Status(Model):
    """How many jobs are in each state.

    Attributes:
        ready: jobs that a free worker would take.
        delayed: jobs that wait for a point in time: their ``run_at``, or that of their
            next retry. Both are None from an older daemon.
        trouble: why the daemon cannot write its database; None: it can.
    """

    pending: int
    processing: int
    completed: int
    failed: int
    dead: int
    cancelled: int
    workers: WorkerCounts = field(metadata=read(WorkerCounts.from_wire))
    draining: bool = False
    ready: int | None = None
    delayed: int | None = None
    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class StoreHealth(Model):
    """Whether the store works: ``problem`` says why it does not; None: it does."""

    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Health(Model):
    """The figures that a monitor needs. One that could not be measured in time is None.

    Attributes:
        uptime: seconds since the daemon's start.
        oldest_ready: the longest time, in seconds, that a job has been ready without
            being started; None: no job is ready.
        dead_lately: jobs that became dead in the last hour.
        unstored: results of jobs that are not in the store yet.
        free: bytes free for the store and for output.
        wal_size: bytes of the store's log.
    """

    draining: bool
    uptime: float
    workers: WorkerCounts = field(metadata=read(WorkerCounts.from_wire))
    store: StoreHealth = field(metadata=read(StoreHealth.from_wire))
    unstored: int
    pending: int | None = None
    processing: int | None = None
    failed: int | None = None
    dead: int | None = None
    dead_lately: int | None = None
    oldest_ready: float | None = None
    free: int | None = None
    wal_size: int | None = None


@dataclass(frozen=True, slots=True)
class Spread(Model):
    """The distribution of ``count`` durations, in seconds."""

    count: int
    average: float
    p50: float
    p95: float
    p99: float


_SPREAD = read(Spread.from_wire)


@dataclass(frozen=True, slots=True)
class Stats(Model):
    """What happened since a point in time.

    Attributes:
        since: that point; None: the beginning.
        success_rate: completed / (completed + dead); None when both are 0.
        run: from the start of a run to its end; None when no run ended.
        wait: from the moment when a job could run to its start.
        per_minute: jobs that completed, per minute.
    """

    since: datetime | None = field(metadata=TIME)
    minutes: float
    completed: int
    dead: int
    cancelled: int
    failed_attempts: int
    retries: int
    lost: int
    success_rate: float | None
    per_minute: float
    run: Spread | None = field(default=None, metadata=_SPREAD)
    wait: Spread | None = field(default=None, metadata=_SPREAD)
