"""A job, its attempts, and the results of requests about several jobs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from queuectl import errors
from queuectl.errors import RequestError
from queuectl.models.model import REASON, STATE, TIME, Model, read
from queuectl_protocol.messages import Failure
from queuectl_protocol.vocabulary import FINAL_STATES, JobState, Reason


def _command(value: str | list[str]) -> str | tuple[str, ...]:
    return value if isinstance(value, str) else tuple(value)


COMMAND = read(_command)


@dataclass(frozen=True, slots=True)
class Job(Model):
    """A job as it stood when the daemon answered.

    Attributes:
        command: a line for ``shell``, or an exact argument vector.
        attempts: retry budget used: runs that count, since the last manual retry.
        runs: runs ever started; the number of the last one.
        run_at: the earliest time of its first run, or of its next retry.
        umask: octal, as ``"0022"``; None for the daemon's.
        exit_code, signal, reason, message: how the last run ended.
        worker: the number of the worker that runs it, or ran it last.
        submitter: uid of the user who enqueued it.
        cancel_requested: it was cancelled while it ran; it becomes ``cancelled`` when
            its processes have ended.
        nice, memory_max, cpu_quota, tasks_max: its limits; 0: none.
        rlimits: resource limits of each of its processes; -1 is infinity.
        shell: the program that runs its command line; None for an argument vector.
        expires: it is cancelled at this time unless it was started before.
        foreground: somebody waits for it at a terminal; see ``retry_all``.
        env: its environment, if the request asked for it.
    """

    id: str
    command: str | tuple[str, ...] = field(metadata=COMMAND)
    state: JobState | str = field(metadata=STATE)
    attempts: int
    max_retries: int
    created_at: datetime = field(metadata=TIME)
    updated_at: datetime = field(metadata=TIME)
    priority: int
    timeout: float
    queue: str
    runs: int
    run_at: datetime | None = field(default=None, metadata=TIME)
    backoff_base: float | None = None
    backoff_max: float | None = None
    backoff_jitter: float | None = None
    output_limit: int | None = None
    cwd: str | None = None
    umask: str | None = None
    exit_code: int | None = None
    signal: int | None = None
    reason: Reason | str | None = field(default=None, metadata=REASON)
    message: str | None = None
    worker: int | None = None
    started_at: datetime | None = field(default=None, metadata=TIME)
    finished_at: datetime | None = field(default=None, metadata=TIME)
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
    expires: datetime | None = field(default=None, metadata=TIME)
    env: Mapping[str, str] | None = None

    @property
    def is_final(self) -> bool:
        """Whether its state is final: it changes only if somebody retries the job."""
        return self.state in FINAL_STATES


@dataclass(frozen=True, slots=True)
class JobBrief(Model):
    """The fields of a job that change during its life: see ``Job``."""

    id: str
    state: JobState | str = field(metadata=STATE)
    attempts: int
    max_retries: int
    runs: int
    updated_at: datetime = field(metadata=TIME)
    run_at: datetime | None = field(default=None, metadata=TIME)
    exit_code: int | None = None
    signal: int | None = None
    reason: Reason | str | None = field(default=None, metadata=REASON)
    cancel_requested: bool = False


def _error(wire: Mapping[str, Any]) -> RequestError:
    return errors.from_failure(
        Failure(None, wire["code"], wire["message"], wire["data"], wire["retryable"])
    )


@dataclass(frozen=True, slots=True)
class Changed(Model):
    """The result for one job of a request that changes several.

    Attributes:
        id: the id in the request.
        job: the job after the change; a deleted job as it was before.
        error: why the job was not changed: the exception that a request about this job
            alone would raise. One of ``job`` and ``error`` is None.
    """

    id: str
    job: JobBrief | None = field(default=None, metadata=read(JobBrief.from_wire))
    error: RequestError | None = field(default=None, metadata=read(_error))


@dataclass(frozen=True, slots=True)
class Attempt(Model):
    """One run of a job.

    Attributes:
        run: 1, 2, 3 ... within the job, over all manual retries.
        reason: why it ended; None while it runs.
        max_rss: largest resident set of one process of the job, in bytes.
        user_ms, system_ms: CPU time in milliseconds: of all its processes if it had a
            cgroup, else of its main process and the children that it waited for.
        memory_peak: largest memory of all its processes together, in bytes; None: not
            known.
    """

    run: int
    lease: int
    worker: int | None = None
    started_at: datetime | None = field(default=None, metadata=TIME)
    finished_at: datetime | None = field(default=None, metadata=TIME)
    reason: Reason | str | None = field(default=None, metadata=REASON)
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
class Position(Model):
    """The place of a job in the queue.

    Attributes:
        ready: it waits for a worker, and not for a point in time.
        ahead: the number of jobs before it.
        ahead_more: there are more than ``ahead``: the daemon stopped counting.
    """

    state: JobState | str = field(metadata=STATE)
    ready: bool
    ahead: int
    ahead_more: bool
