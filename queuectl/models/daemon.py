"""The daemon itself: its process, its settings, its own checks and backups."""

from dataclasses import dataclass, field
from datetime import datetime

from queuectl.models.model import TIME, Model, read
from queuectl.models.worker import WorkerCounts


@dataclass(frozen=True, slots=True)
class Enforced(Model):
    """The limits of jobs that this daemon can enforce.

    Attributes:
        controllers: those of cgroup v2 that it can use: ``cpu``, ``memory``, ``pids``.
        missing: why it cannot use the others; None if it can use all.
    """

    controllers: tuple[str, ...] = field(metadata=read(tuple))
    missing: str | None = None


@dataclass(frozen=True, slots=True)
class DaemonStatus(Model):
    """The state of the daemon's process.

    Attributes:
        uptime: seconds since its start.
        instance: a word that changes with each start.
        rss: resident memory, in bytes.
        limits: None from a daemon that knows no limits of jobs.
    """

    pid: int
    version: str
    uptime: float
    socket: str
    state_dir: str
    started_at: datetime = field(metadata=TIME)
    instance: str
    draining: bool
    workers: WorkerCounts = field(metadata=read(WorkerCounts.from_wire))
    connections: int
    rss: int
    limits: Enforced | None = field(default=None, metadata=read(Enforced.from_wire))


@dataclass(frozen=True, slots=True)
class Setting(Model):
    """A job setting.

    Attributes:
        kind: how its value is written: a whole number, number, duration, size or
            absolute path.
        minimum, maximum: the range of a number; None for a path.
        applies: the jobs that a new value applies to, in words.
    """

    key: str
    value: float | str
    default: float | str
    is_default: bool
    kind: str
    minimum: float | None
    maximum: float | None
    applies: str
    doc: str


@dataclass(frozen=True, slots=True)
class Check(Model):
    """One result of ``doctor``: ``level`` is ok, warning or error."""

    name: str
    level: str
    detail: str
    advice: str | None = None


@dataclass(frozen=True, slots=True)
class Backup(Model):
    """A copy of the database: where it is, and how many bytes it has."""

    path: str
    size: int
