"""Worker processes, and the results of requests that start or stop them."""

from dataclasses import dataclass, field
from datetime import datetime

from queuectl.models.model import TIME, Model, read


@dataclass(frozen=True, slots=True)
class WorkerCounts(Model):
    """The number of workers; ``status`` does not tell how many are ``wanted``."""

    active: int
    busy: int
    wanted: int | None = None


@dataclass(frozen=True, slots=True)
class Worker(Model):
    """A worker process.

    Attributes:
        worker: its number.
        state: starting, idle, busy or stopping.
        job: the id of the job it runs.
        started_at: when the worker started.
        run_started_at: when its current run began; None from an older daemon.
        adopted: an earlier daemon started it; it ends after its job.
        bound: it belongs to a connection, and ends with it.
        reserved: it runs one particular job and no other.
    """

    worker: int
    pid: int
    state: str
    job: str | None = None
    run: int | None = None
    started_at: datetime | None = field(default=None, metadata=TIME)
    adopted: bool = False
    bound: bool = False
    reserved: bool = False
    run_started_at: datetime | None = field(default=None, metadata=TIME)


_WORKERS = read(lambda found: tuple(Worker.from_wire(each) for each in found))


@dataclass(frozen=True, slots=True)
class Stopped(Model):
    """How many workers were stopped, and how many of their jobs were interrupted."""

    stopped: int
    interrupted: int


@dataclass(frozen=True, slots=True)
class Scaled(Model):
    """The changes that a new number of workers required.

    Attributes:
        started: the new workers.
        stopped: the number of workers that were stopped.
        interrupted: how many of their jobs were interrupted.
        wanted: how many workers are wanted, besides bound ones.
    """

    started: tuple[Worker, ...] = field(metadata=_WORKERS)
    stopped: int
    interrupted: int
    wanted: int
