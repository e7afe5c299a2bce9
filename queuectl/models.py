"""What the daemon tells, as typed values. Each is built from its map on the wire.

Keys that this version does not know are left out, and words it does not know (a new
state, a new reason) stay the strings they are: a newer daemon can be listened to.
Points in time are aware datetimes in UTC, durations are seconds, sizes are bytes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Self

from queuectl import errors
from queuectl.errors import RequestError
from queuectl_protocol.messages import Failure
from queuectl_protocol.vocabulary import FINAL_STATES, JobState, Reason


def _word(words: type[StrEnum]) -> Callable[[str], str]:
    known = {word.value: word for word in words}
    return lambda value: known.get(value, value)


def _command(value: str | list[str]) -> str | tuple[str, ...]:
    return value if isinstance(value, str) else tuple(value)


_COMMAND = MappingProxyType({"read": _command})
_STATE = MappingProxyType({"read": _word(JobState)})
_REASON = MappingProxyType({"read": _word(Reason)})
_TIME = MappingProxyType({"read": datetime.fromisoformat})


@dataclass(frozen=True, slots=True)
class Model:
    """Something told by the daemon."""

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Self:
        """Return the value of a map on the wire.

        Raises:
            TypeError: a key is missing, or holds something of another type.
            ValueError: what should be a time is none.
        """
        values = {}
        for item in fields(cls):
            if item.name in wire:
                value, read = wire[item.name], item.metadata.get("read")
                values[item.name] = value if value is None or not read else read(value)
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Job(Model):
    """A job as it stood when the daemon answered.

    Attributes:
        command: a line for ``shell``, or an exact argument vector.
        attempts: retry budget used: runs that count, since the last manual retry.
        runs: runs ever started; the number of the last one.
        run_at: not to be started before.
        umask: octal, as ``"0022"``; None for the daemon's.
        exit_code, signal, reason, message: how the last run ended.
        worker: the number of the worker that runs it, or ran it last.
        submitter: uid of who enqueued it.
        cancel_requested: it was cancelled while running, and its end will say so.
        nice, memory_max, cpu_quota, tasks_max: what limits it; 0: nothing does.
        rlimits: resource limits of each of its processes; -1 is infinity.
        shell: what runs its line; None for a list of words.
        foreground: it is left out where all jobs but such are asked for.
        env: its environment, where that was asked for.
    """

    id: str
    command: str | tuple[str, ...] = field(metadata=_COMMAND)
    state: JobState | str = field(metadata=_STATE)
    attempts: int
    max_retries: int
    created_at: datetime = field(metadata=_TIME)
    updated_at: datetime = field(metadata=_TIME)
    priority: int
    timeout: float
    queue: str
    runs: int
    run_at: datetime | None = field(default=None, metadata=_TIME)
    backoff_base: float | None = None
    backoff_max: float | None = None
    backoff_jitter: float | None = None
    output_limit: int | None = None
    cwd: str | None = None
    umask: str | None = None
    exit_code: int | None = None
    signal: int | None = None
    reason: Reason | str | None = field(default=None, metadata=_REASON)
    message: str | None = None
    worker: int | None = None
    started_at: datetime | None = field(default=None, metadata=_TIME)
    finished_at: datetime | None = field(default=None, metadata=_TIME)
    label: str | None = None
    submitter: int | None = None
    cancel_requested: bool = False
    nice: int = 0
    memory_max: int = 0
    cpu_quota: float = 0
    tasks_max: int = 0
    rlimits: Mapping[str, int] = field(default_factory=dict)
    shell: str | None = None
    foreground: bool = False
    env: Mapping[str, str] | None = None

    @property
    def is_final(self) -> bool:
        """Whether it stays as it is unless somebody asks for a retry."""
        return self.state in FINAL_STATES


@dataclass(frozen=True, slots=True)
class JobBrief(Model):
    """What changes of a job in its life: see ``Job`` for what each field means."""

    id: str
    state: JobState | str = field(metadata=_STATE)
    attempts: int
    max_retries: int
    runs: int
    updated_at: datetime = field(metadata=_TIME)
    run_at: datetime | None = field(default=None, metadata=_TIME)
    exit_code: int | None = None
    signal: int | None = None
    reason: Reason | str | None = field(default=None, metadata=_REASON)
    cancel_requested: bool = False


def _refused(wire: Mapping[str, Any]) -> RequestError:
    return errors.from_failure(
        Failure(None, wire["code"], wire["message"], wire["data"], wire["retryable"])
    )


_BRIEF = MappingProxyType({"read": JobBrief.from_wire})
_ERROR = MappingProxyType({"read": _refused})


@dataclass(frozen=True, slots=True)
class Changed(Model):
    """What became of one of several jobs that were to be changed.

    Attributes:
        id: the id that was given.
        job: the job after that; of one that was deleted, before it.
        error: why nothing was done, as it would have been raised about this job alone.
            One of ``job`` and ``error`` is None.
    """

    id: str
    job: JobBrief | None = field(default=None, metadata=_BRIEF)
    error: RequestError | None = field(default=None, metadata=_ERROR)


@dataclass(frozen=True, slots=True)
class Attempt(Model):
    """One run of a job.

    Attributes:
        run: 1, 2, 3 ... within the job, over all manual retries.
        reason: why it ended; None while it runs.
        max_rss: largest resident set of one process of the job, in bytes.
        user_ms, system_ms: CPU time in milliseconds: of all its processes if it had a
            cgroup, else of its main process and what that waited for.
        memory_peak: most bytes of all its processes together; None: not known.
    """

    run: int
    lease: int
    worker: int | None = None
    started_at: datetime | None = field(default=None, metadata=_TIME)
    finished_at: datetime | None = field(default=None, metadata=_TIME)
    reason: Reason | str | None = field(default=None, metadata=_REASON)
    exit_code: int | None = None
    signal: int | None = None
    message: str | None = None
    max_rss: int | None = None
    user_ms: int | None = None
    system_ms: int | None = None
    stdout_bytes: int | None = None
    stderr_bytes: int | None = None
    memory_peak: int | None = None


@dataclass(frozen=True, slots=True)
class WorkerCounts(Model):
    """How many workers there are; ``wanted`` only where the daemon itself is asked."""

    active: int
    busy: int
    wanted: int | None = None


_COUNTS = MappingProxyType({"read": WorkerCounts.from_wire})


@dataclass(frozen=True, slots=True)
class Status(Model):
    """How many jobs are in each state.

    Attributes:
        ready: of those that wait, how many a free worker would take.
        delayed: how many wait for their time: a ``run_at``, or that of a retry. Both
            are None from a daemon that does not tell.
        trouble: why the daemon cannot write its database; None: all is well.
    """

    pending: int
    processing: int
    completed: int
    failed: int
    dead: int
    cancelled: int
    workers: WorkerCounts = field(metadata=_COUNTS)
    draining: bool = False
    ready: int | None = None
    delayed: int | None = None
    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class Position(Model):
    """What a job waits behind.

    Attributes:
        ready: it waits for a worker alone, and not for its time.
        ahead: how many jobs are before it.
        ahead_more: there are more than that.
    """

    state: JobState | str = field(metadata=_STATE)
    ready: bool
    ahead: int
    ahead_more: bool


@dataclass(frozen=True, slots=True)
class StoreHealth(Model):
    """Whether the store works: ``problem`` says why not."""

    problem: str | None = None


_STORE = MappingProxyType({"read": StoreHealth.from_wire})


@dataclass(frozen=True, slots=True)
class Health(Model):
    """What a monitor looks at. What could not be found out in time is None.

    Attributes:
        uptime: seconds.
        oldest_ready: seconds that a job has been ready and has not begun; None: none.
        dead_lately: jobs that became dead in the last hour.
        unstored: results of jobs that are not in the store yet.
        free: bytes free for the store and for output.
        wal_size: bytes of the store's log.
    """

    draining: bool
    uptime: float
    workers: WorkerCounts = field(metadata=_COUNTS)
    store: StoreHealth = field(metadata=_STORE)
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
    """How long something took, in seconds, over ``count`` times."""

    count: int
    average: float
    p50: float
    p95: float
    p99: float


_SPREAD = MappingProxyType({"read": Spread.from_wire})


@dataclass(frozen=True, slots=True)
class Stats(Model):
    """What happened since a point in time.

    Attributes:
        since: None: since the beginning.
        success_rate: completed / (completed + dead); None when there was neither.
        run: from the start of a run to its end; None when none ended.
        wait: from when a job could run to its start.
        per_minute: jobs that completed, per minute.
    """

    since: datetime | None = field(metadata=_TIME)
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


@dataclass(frozen=True, slots=True)
class Setting(Model):
    """A job setting.

    Attributes:
        kind: how its value is written: a whole number, number, duration, size or
            absolute path.
        minimum, maximum: of a number; None for a path.
        applies: which jobs a new value touches, in words.
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
class Worker(Model):
    """A worker process.

    Attributes:
        worker: its number.
        state: starting, idle, busy or stopping.
        job: the id of the job it runs.
        started_at: when it was started itself.
        run_started_at: when its run began; None of a daemon that does not say.
        adopted: an earlier daemon started it; it ends after its job.
        bound: it belongs to a connection, and ends with it.
        reserved: it takes one job and no other.
    """

    worker: int
    pid: int
    state: str
    job: str | None = None
    run: int | None = None
    started_at: datetime | None = field(default=None, metadata=_TIME)
    adopted: bool = False
    bound: bool = False
    reserved: bool = False
    run_started_at: datetime | None = field(default=None, metadata=_TIME)


_WORKERS = MappingProxyType(
    {"read": lambda found: tuple(Worker.from_wire(each) for each in found)}
)


@dataclass(frozen=True, slots=True)
class Stopped(Model):
    """How many workers were stopped, and how many of their jobs interrupted."""

    stopped: int
    interrupted: int


@dataclass(frozen=True, slots=True)
class Scaled(Model):
    """What it took to have a number of workers.

    Attributes:
        started: the new ones.
        stopped: how many were too many.
        interrupted: how many of their jobs were interrupted.
        wanted: workers wanted beside bound ones.
    """

    started: tuple[Worker, ...] = field(metadata=_WORKERS)
    stopped: int
    interrupted: int
    wanted: int


@dataclass(frozen=True, slots=True)
class Enforced(Model):
    """Which limits of jobs this daemon can enforce.

    Attributes:
        controllers: of cgroup v2: ``cpu``, ``memory``, ``pids``.
        missing: why the others are not there; None if they all are.
    """

    controllers: tuple[str, ...] = field(metadata=MappingProxyType({"read": tuple}))
    missing: str | None = None


_ENFORCED = MappingProxyType({"read": Enforced.from_wire})


@dataclass(frozen=True, slots=True)
class DaemonStatus(Model):
    """The daemon itself.

    Attributes:
        uptime: seconds.
        instance: another word after each start.
        rss: bytes.
        limits: None from a daemon that knows of none.
    """

    pid: int
    version: str
    uptime: float
    socket: str
    state_dir: str
    started_at: datetime = field(metadata=_TIME)
    instance: str
    draining: bool
    workers: WorkerCounts = field(metadata=_COUNTS)
    connections: int
    rss: int
    limits: Enforced | None = field(default=None, metadata=_ENFORCED)


@dataclass(frozen=True, slots=True)
class Check(Model):
    """What ``doctor`` found: ``level`` is ok, warning or error."""

    name: str
    level: str
    detail: str
    advice: str | None = None


@dataclass(frozen=True, slots=True)
class Backup(Model):
    """A copy of the database: where it is, and how many bytes it has."""

    path: str
    size: int


@dataclass(frozen=True, slots=True)
class AttemptStarted(Model):
    """An event of ``follow``: what comes next is the output of this run."""

    run: int


@dataclass(frozen=True, slots=True)
class Output(Model):
    """An event of ``follow``: a piece of output.

    Attributes:
        stream: stdout or stderr.
        offset: where ``data`` stands in that run's stream. Pieces follow each other
            without a gap.
    """

    run: int
    stream: str
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class OutputGone(Model):
    """An event of ``follow``: of this stream of the run, the daemon has not all.

    Attributes:
        stream: stdout or stderr.
        size: the bytes that the run wrote there.
        left: those that are still there; None: there is no file, or, from an older
            daemon, an empty one.
    """

    run: int
    stream: str
    size: int
    left: int | None = None


FollowEvent = AttemptStarted | Output | OutputGone


def follow_event(body: Mapping[str, Any]) -> FollowEvent | None:
    """Return an event of ``follow``; None for one of a newer daemon."""
    match body.get("type"):
        case "attempt":
            return AttemptStarted.from_wire(body)
        case "gone":
            return OutputGone.from_wire(body)
        case "data":
            return Output.from_wire(body)
    return None
