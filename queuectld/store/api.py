"""The interface of every store.

A unit of work is a plain function ``work(tx) -> result``. The store runs many units
in one durable transaction, and one that fails does not fail the others. A unit must
therefore do nothing but call its ``Transaction``, and may be run again when the first
try of its batch was not committed.

A store keeps jobs as they are given to it, and never decides about one.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

from queuectl_protocol.vocabulary import JobState
from queuectld.core.job import Attempt, AttemptEnd, Job
from queuectld.core.settings import Value

T = TypeVar("T")

COPIED_AT = "copied_at"
"""Name of the meta value that a copy has: when it was made, in milliseconds."""


class StoreError(Exception):
    """The store failed; nothing of the unit of work remains."""


class StoreFullError(StoreError):
    """There is no room on the disk, or in the quota."""


class OutcomeUnknownError(StoreError):
    """The store failed in a commit and does not know whether it took place."""


class StoreOpenError(StoreError):
    """The store cannot be opened; the message says what to do. Nothing was touched."""


class StoreTooNewError(StoreOpenError):
    """A newer program has written the store; this one cannot open it."""


class BackupError(StoreError):
    """The copy cannot be made there. Nothing is left of it.

    Attributes:
        data: names the parameter that is wrong: the path.
    """

    data: Mapping[str, str] = MappingProxyType({"param": "path"})


class BackupExistsError(BackupError):
    """There is a file of that name, and it must not be replaced.

    Attributes:
        data: its path.
    """

    def __init__(self, target: Path) -> None:
        super().__init__(f"{target} exists already, and was left as it is")
        self.data = {"path": str(target)}


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of a listing, newest first.

    Attributes:
        cursor: pass it as ``before`` for the next page; None on the last one.
    """

    jobs: list[Job]
    cursor: int | None


@dataclass(frozen=True, slots=True)
class Histogram:
    """Durations of one metric, added up over some minutes.

    Attributes:
        counts: how many fell into each bucket of ``core.histogram``.
        total_ms: their sum.
    """

    counts: Mapping[int, int]
    total_ms: int

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(self.counts.values())


class Reader(Protocol):
    """What a store can be asked, all within one snapshot."""

    def job(self, job_id: str) -> Job | None:
        """Return the job with that id."""

    def job_by_seq(self, seq: int) -> Job | None:
        """Return the job with that sequence number."""

    def attempts(
        self, seq: int, before: int | None = None, limit: int | None = None
    ) -> list[Attempt]:
        """Return a job's attempts on record, oldest first; not the running one.

        Args:
            seq: the job's sequence number.
            before: only those with ``run`` under this.
            limit: only so many, the newest; None: all.
        """

    def attempt_after(self, seq: int, run: int) -> Attempt | None:
        """Return a job's first attempt on record with a greater ``run``."""

    def page(
        self, states: Collection[JobState] | None, before: int | None, limit: int
    ) -> Page:
        """Return up to ``limit`` jobs with ``seq`` under ``before``, newest first.

        Those in one of ``states``; None: all. The cost depends on ``limit``, and not
        on how many jobs are in other states.
        """

    def counts(self) -> dict[JobState, int]:
        """Return how many jobs are in each state, at a cost that does not grow."""

    def delayed(self) -> int:
        """Return how many jobs wait for their time, at a cost that does not grow."""

    def running(self) -> list[Job]:
        """Return the jobs in ``processing``."""

    def in_state(self, state: JobState, limit: int, after: int = 0) -> list[Job]:
        """Return up to ``limit`` jobs with ``seq`` over ``after``, oldest first."""

    def prunable(
        self, states: Sequence[JobState], finished_before: int, limit: int
    ) -> list[Job]:
        """Return up to ``limit`` finished jobs, those that finished first."""

    def environment(self, key: bytes) -> dict[str, str]:
        """Return a stored environment.

        Raises:
            KeyError: no job has it.
        """

    def settings(self) -> dict[str, Value]:
        """Return the settings that were set."""

    def meta(self, key: str) -> str | None:
        """Return a small value of the daemon's own, such as ``workers_wanted``."""

    def rollup(self, since: int, until: int | None = None) -> dict[str, Histogram]:
        """Return each metric's durations and counts from the minute of ``since`` on.

        Up to the minute of ``until``, exclusive. Metrics without durations count in
        bucket 0.
        """

    def rollup_end(self, since: int, rows: int) -> int | None:
        """Return a time up to which a rollup adds up about ``rows`` rows.

        It is the end of an hour, so that the minutes which are merged later stay
        together. None: there are no more rows than that.
        """

    def oldest_ready(self) -> int | None:
        """Return since when a job has waited for a worker, the longest of all.

        Where many wait, it looks only at the few that are next in each of the highest
        priorities.
        """

    def happened(self, metric: str, since: int) -> int:
        """Return how often something happened, from the minute of ``since`` on."""

    def ahead(self, job: Job, limit: int) -> int:
        """Return how many are to be claimed before a job, up to ``limit``."""

    def next_run_at(self) -> int | None:
        """Return the earliest ``run_at`` among jobs that wait for theirs."""

    def expired(self, now: int, limit: int) -> list[Job]:
        """Return up to ``limit`` waiting jobs that have expired, the first first."""
        ...

    def next_expiry(self) -> int | None:
        """Return the earliest time at which a waiting job expires."""
        ...


class Transaction(Reader, Protocol):
    """What a unit of work can do. A unit sees its own writes."""

    def next_seq(self) -> int:
        """Return a sequence number that no job ever had."""

    def keep_environment(self, env: dict[str, str]) -> bytes:
        """Store an environment, if it is not there; return the key of its content."""

    def insert(self, job: Job) -> None:
        """Add a job, with a new sequence number and the key of a kept environment."""

    def update(self, old: Job, new: Job) -> bool:
        """Write ``new`` if the job is still as ``old``; return whether it was.

        State, lease and ``cancel_requested`` are compared: while they stay the same,
        nothing else changes but ``due``, by ``promote``. So ``old`` must have been read
        in this transaction, or be a job that does not wait. Keeps the counters.
        """

    def next_lease(self, least: int = 0) -> int:
        """Return a number that no attempt ever had, and none less than ``least``."""

    def next_worker(self) -> int:
        """Return a number that no worker ever had."""

    def ready(self, limit: int) -> list[Job]:
        """Return the jobs to be claimed next: priority, then first in first out."""

    def promote(self, now: int, limit: int) -> int:
        """Make up to ``limit`` jobs ready whose ``run_at`` came; return how many."""

    def insert_attempt(self, job: Job, end: AttemptEnd) -> None:
        """Put the attempt that ran under ``end.lease`` on record.

        ``job`` is the job as it was while the attempt ran.
        """

    def measure(self, metric: str, at: int, ms: int | None = None) -> None:
        """Add something that happened to the statistics.

        Args:
            metric: ``completed``, ``dead``, ``cancelled``, ``failed``, ``retried``,
                ``lost``, ``run`` (duration of an attempt) or ``wait`` (from when a job
                could have started to when it did).
            at: when, in milliseconds.
            ms: the duration, where the metric is one.
        """

    def set_setting(self, key: str, value: Value | None) -> None:
        """Store a setting; None goes back to the default."""

    def set_meta(self, key: str, value: str) -> None:
        """Store a small value of the daemon's own."""

    def delete(self, jobs: Sequence[Job]) -> list[Job]:
        """Forget jobs that are still as given, their attempts and unused environments.

        Return those that went. Their generated ids are never used again.
        """

    def thin_statistics(self, now: int, hours: int) -> bool:
        """Merge up to ``hours`` hours of old statistics; return if more is left."""


class Store(Protocol):
    """An open store: any number of units wait, and one transaction runs at a time."""

    async def write(self, work: Callable[[Transaction], T], *, weight: int = 1) -> T:
        """Run a unit of work; return its result once it is durable.

        Args:
            work: the unit.
            weight: about how many jobs it writes. Heavy units wait for each other, so
                that light ones wait for one of them and not for all.

        Raises:
            StoreFullError, StoreError: nothing of it remains.
            whatever ``work`` raised: nothing of it remains.
        """

    @property
    def problem(self) -> str | None:
        """Why nothing can be written: the error of the last write, if it failed."""

    async def read(self, query: Callable[[Reader], T]) -> T:
        """Run a query in a snapshot that has every acknowledged write."""

    async def checkpoint(self) -> None:
        """Move what the log holds into the database, as far as readers allow."""

    async def alive(self) -> None:
        """Return once the writer and then the reader have answered.

        What was handed in before is done by then. Nothing is written for this. An
        error, of a full disk for example, is an answer too; if the store hangs, this
        waits as long as it does.

        Raises:
            StoreError: it is closed.
        """

    async def backup(
        self,
        target: Path,
        *,
        replace: bool,
        wall: Callable[[], int] | None = None,
    ) -> int:
        """Write a consistent copy of the store to a file; return its size in bytes.

        Other work goes on meanwhile. The file is there whole and synced, or not at
        all; it belongs to the daemon's user, and nobody else can read it. The copying
        ends when the awaiting task is cancelled.

        Args:
            target: its path; the directory is there.
            replace: whether a regular file of that name may be replaced.
            wall: the clock. The copy then holds the time at which it was made, as the
                meta value ``COPIED_AT``: whoever opens it knows that it is a copy.

        Raises:
            BackupExistsError, BackupError, StoreError: nothing was written.
        """

    async def examine(self) -> list[str]:
        """Read everything; return a sentence for each thing that is wrong.

        It takes as long as reading the whole database, and delays nothing but the
        emptying of the log. It ends when the awaiting task is cancelled.
        """

    def facts(self) -> dict[str, Any]:
        """Return what ``doctor`` shows: path, versions, sizes."""

    async def close(self) -> None:
        """Do what waits, then close. Later calls get a StoreError."""
