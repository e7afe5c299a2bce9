"""Jobs and attempts as data. Nothing here decides: see ``lifecycle``.

Points in time are milliseconds since 1970 (UTC), durations are seconds, sizes are
bytes.
"""

from typing import NamedTuple

from queuectl_protocol.vocabulary import JobState, Reason
from queuectld.core.limits import Limits

Command = str | tuple[str, ...]
"""A command line for a shell's ``-c``, or an exact argument vector."""

SHELL = "/bin/sh"
"""What runs command lines unless a job says otherwise."""


class Submission(NamedTuple):
    """A job as somebody asked for it. None: not said, and the daemon decides.

    Attributes:
        id: the id the submitter wants, never digits alone; None for a generated one.
        env: the job's whole environment; None for a minimal one.
        submitter: uid of the process that asked.
        rlimits: in the order of their names, as are those of ``Limits``.
        groups: those of the process that asked, its gid first; None where that does
            not matter.
        shell: for a command line; never beside a list of words.
        foreground: whoever asked sees how it ends.
        expires: it is cancelled at this time unless it was started before.
    """

    command: Command
    id: str | None = None
    queue: str = "default"
    priority: int | None = None
    max_retries: int | None = None
    timeout: float | None = None
    backoff_base: float | None = None
    backoff_max: float | None = None
    backoff_jitter: float | None = None
    output_limit: int | None = None
    run_at: int | None = None
    cwd: str | None = None
    umask: int | None = None
    env: dict[str, str] | None = None
    label: str | None = None
    submitter: int | None = None
    nice: int | None = None
    memory_max: int | None = None
    cpu_quota: float | None = None
    tasks_max: int | None = None
    rlimits: tuple[tuple[str, int], ...] | None = None
    groups: tuple[int, ...] | None = None
    shell: str | None = None
    foreground: bool = False
    expires: int | None = None


class Job(NamedTuple):
    """A job as it stands. It never changes: ``lifecycle`` makes another one.

    A tuple, in the order of the database's columns. Each run reads two rows and makes
    jobs of them, and a tuple costs a quarter of what a frozen dataclass does.

    Attributes:
        seq: the sequence number: order among equals, and the id when none was given.
        name: the id the submitter gave.
        env_key: which stored environment it runs with; None for a minimal one.
        attempts: retry budget used: runs that count, since the last manual retry.
        runs: runs ever started; numbers the attempts and is never reset.
        losses: runs in a row that were lost, or interrupted with nobody having asked
            for it (``lifecycle`` retries the first loss at once).
        lease: fencing token of the running attempt; None when none runs.
        worker: number of the worker that runs it, or ran it last.
        cancel_requested: it was cancelled while running; its end will say so.
        due: True: ready to be claimed; False: waits for ``run_at``; None: not waiting.
        run_at: not to be started before.
        started_at: start of the running or the last attempt.
        finished_at: end of the last attempt.
        limits: ``limits.NONE`` itself if there are none.
        groups: of who enqueued it, its gid first; None where that does not matter.
        shell: what runs its line; None: ``SHELL``, or nothing does.
        expires: from when on it is too late to start it.
        foreground: its submitter sees how it ends. ``retry_all`` can leave it out.
    """

    seq: int
    name: str | None
    queue: str
    command: Command
    cwd: str | None
    umask: int | None
    env_key: bytes | None
    label: str | None
    submitter: int | None
    priority: int
    max_retries: int
    timeout: float
    backoff_base: float
    backoff_max: float
    backoff_jitter: float
    output_limit: int
    state: JobState
    attempts: int
    runs: int
    losses: int
    lease: int | None
    worker: int | None
    cancel_requested: bool
    due: bool | None
    created_at: int
    updated_at: int
    run_at: int | None
    started_at: int | None
    finished_at: int | None
    exit_code: int | None
    signal: int | None
    reason: Reason | None
    message: str | None
    limits: Limits
    groups: tuple[int, ...] | None
    shell: str | None = None
    foreground: bool = False
    expires: int | None = None

    @property
    def id(self) -> str:
        """The id on the wire: the given one, or the sequence number as a string."""
        return self.name if self.name is not None else str(self.seq)


class AttemptEnd(NamedTuple):
    """How a run ended, as its worker told it, or as recovery found out.

    Attributes:
        lease: the fencing token under which it ran.
        message: what went wrong and the codes do not say, for people.
        max_rss: largest resident set of one process of the job, in bytes.
        user_ms, system_ms: CPU time of the job's main process and what it reaped; of
            all its processes, if it had a cgroup.
        memory_peak: most bytes of all its processes together, if that is known.
    """

    lease: int
    started_at: int | None
    finished_at: int
    reason: Reason
    exit_code: int | None = None
    signal: int | None = None
    message: str | None = None
    max_rss: int | None = None
    user_ms: int | None = None
    system_ms: int | None = None
    stdout_bytes: int | None = None
    stderr_bytes: int | None = None
    memory_peak: int | None = None

    def written(self, stream: str) -> int | None:
        """Return the bytes on ``stdout`` or ``stderr``; None: that is not known."""
        return self.stdout_bytes if stream == "stdout" else self.stderr_bytes


class Attempt(NamedTuple):
    """A run on record.

    Attributes:
        run: 1, 2, 3 ... within the job, over all manual retries.
        end: None while it runs.
    """

    run: int
    lease: int
    worker: int | None
    started_at: int | None
    end: AttemptEnd | None


class Assignment(NamedTuple):
    """A claimed job on its way to a worker: all that is needed to run it.

    Attributes:
        env: the variables the job starts with; None for a minimal environment.
        env_key: names the content of ``env``, so that it need not be sent twice.
    """

    job: Job
    env: dict[str, str] | None
    env_key: bytes | None

    @property
    def lease(self) -> int:
        """The fencing token of this run."""
        assert self.job.lease is not None
        return self.job.lease
