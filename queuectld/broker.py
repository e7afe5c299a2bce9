"""What can be done to the queue: units of work over the store, and who hears of them.

This is the one module that calls both ``core``, which decides, and ``store``, which
keeps. A unit of work is a plain function of a transaction; everything that must be
seen in memory (settings, watchers) happens after its commit.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import TypeVar
from uuid import uuid4

from queuectl_protocol.vocabulary import JobState, Reason
from queuectld.clock import Clock
from queuectld.core import lifecycle, settings, statistics
from queuectld.core.errors import (
    JobConflictError,
    JobExistsError,
    JobNotFoundError,
    JobNotYoursError,
    JobStateError,
    QueueFullError,
)
from queuectld.core.job import Assignment, Attempt, AttemptEnd, Job, Submission
from queuectld.core.settings import Setting, Settings, Value
from queuectld.store.api import Histogram, Measure, Page, Reader, Store, Transaction

T = TypeVar("T")

CHUNK = 1000
"""Jobs changed in one unit of work by the commands that change them all."""

ATTEMPTS_SHOWN = 1000
"""Attempts in one view of a job: 100,000 retries must not make it one for nobody."""

ROLLUP_ROWS = 5000
"""Rows of statistics added up in one read: about 10 ms, and then others have a turn."""

ENVIRONMENTS_CACHED = 64
"""Environments kept in memory for claims. A key names its content, so none is stale."""


class IfExists(StrEnum):
    """What enqueue does when the id is taken."""

    ERROR = "error"
    RETURN = "return"


@dataclass(frozen=True, slots=True)
class Enqueued:
    """A job that was enqueued, or was there already."""

    job: Job
    created: bool


@dataclass(frozen=True, slots=True)
class JobView:
    """A job with its attempts, oldest first; the running one last, without an end.

    Attributes:
        more: whether there are attempts before these.
    """

    job: Job
    attempts: list[Attempt]
    env: dict[str, str] | None
    more: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """A job with one of its attempts; None when there is no such one."""

    job: Job
    attempt: Attempt | None


@dataclass(frozen=True, slots=True)
class Finished:
    """An attempt's end as it was recorded.

    Attributes:
        job: the job after it; None when the lease was not the current one, and the
            result therefore refused.
        next: what the worker runs next, claimed in the same transaction.
    """

    job: Job | None
    next: Assignment | None


class Broker:
    """The queue's operations. All are durable when they return.

    Attributes:
        store_id: the store's own uuid.
        on_waiting: called when a job waits: with None for a worker, or with the time
            (milliseconds) before which it must not be started.
        on_write: called after each committed write.
    """

    def __init__(self, store: Store, clock: Clock, random: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._random = random
        self._settings = settings.in_force({})
        self._watchers: dict[int, set[asyncio.Event]] = {}
        self._environments: OrderedDict[bytes, dict[str, str]] = OrderedDict()
        self.store_id = ""
        self.on_waiting: Callable[[int | None], None] = lambda _: None
        self.on_write: Callable[[], None] = lambda: None
        self._born = 0
        self._least_lease = 0
        self._summing = asyncio.Lock()

    async def open(self) -> None:
        """Read what must be known before the first request."""
        self._settings = settings.in_force(
            await self._store.read(lambda reader: reader.settings())
        )
        now = self._clock.wall()
        known = await self._store.read(_introduced)
        if known is None:
            known = await self._write(lambda tx: _introduce(tx, now))
        self.store_id, self._born = known
        # The store may have been restored from a copy, and what ran since the copy was
        # made had leases that this store knows nothing of. They count microseconds of
        # the store's life at most, as no daemon claims jobs faster than that: see
        # docs/decisions/0005-leases-after-a-restore.md.
        self._least_lease = max(0, now - self._born) * 1000

    # -- enqueue and look ---------------------------------------------------------

    async def enqueue(
        self, submissions: Sequence[Submission], *, if_exists: IfExists
    ) -> list[Enqueued]:
        """Add jobs, all or none.

        Raises:
            JobExistsError, JobConflictError, QueueFullError: nothing was added.
        """
        in_force, now = self._settings, self._clock.wall()
        done = await self._write(
            lambda tx: _enqueue(tx, submissions, in_force, if_exists, now),
            weight=len(submissions),
        )
        for enqueued in done:
            self._announce(enqueued.job)
        return done

    async def job(self, job_id: str, submitter: int | None = None) -> Job:
        """Return a job.

        Args:
            job_id: which.
            submitter: only if this user enqueued it; None: whoever did.

        Raises:
            JobNotFoundError: there is none with this id.
            JobNotYoursError: it is not that user's.
        """
        return await self._store.read(
            lambda reader: _find(reader, job_id, submitter=submitter)
        )

    async def view(
        self,
        job_id: str,
        *,
        env: bool = False,
        before: int | None = None,
        submitter: int | None = None,
    ) -> JobView:
        """Return a job with its attempts, no more than the last ``ATTEMPTS_SHOWN``.

        Args:
            job_id: which.
            env: with its environment.
            before: attempts with ``run`` under this only.
            submitter: as for ``job``.

        Raises:
            JobNotFoundError, JobNotYoursError: as ``job``.
        """

        def query(reader: Reader) -> JobView:
            job = _find(reader, job_id, submitter=submitter)
            known = reader.environment(job.env_key) if env and job.env_key else None
            attempts = _attempts(reader, job, before)
            shown = attempts[-ATTEMPTS_SHOWN:]
            return JobView(job, shown, known, more=len(attempts) > len(shown))

        return await self._store.read(query)

    async def look(
        self, job_id: str, *, after: int | None = None, submitter: int | None = None
    ) -> Look:
        """Return a job with one attempt: its last, or the first after a ``run``.

        Raises:
            JobNotFoundError, JobNotYoursError: as ``job``.
        """

        def query(reader: Reader) -> Look:
            job = _find(reader, job_id, submitter=submitter)
            return Look(job, _attempt(reader, job, after))

        return await self._store.read(query)

    async def page(
        self, state: JobState | None, before: int | None, limit: int
    ) -> Page:
        """Return a page of jobs, newest first."""
        return await self._store.read(lambda reader: reader.page(state, before, limit))

    async def counts(self) -> dict[JobState, int]:
        """Return how many jobs are in each state."""
        return await self._store.read(lambda reader: reader.counts())

    async def stats(self, since: int | None) -> statistics.Stats:
        """Return the statistics from a time (milliseconds) on; None: from the first."""
        total = statistics.Total()
        begin: int | None = since or 0
        async with self._summing:
            while begin is not None:
                rollup, begin = await self._store.read(partial(_rollup, since=begin))
                for metric, part in rollup.items():
                    total.add(metric, part.counts, part.total_ms)
        return statistics.summarize(
            total.durations(),
            since=max(since or 0, self._born),
            now=self._clock.wall(),
        )

    @contextmanager
    def watch(self, seq: int) -> Iterator[asyncio.Event]:
        """Give an event that is set at each committed change of a job.

        Register first, then read the job, then wait: no change is missed.
        """
        changed = asyncio.Event()
        self._watchers.setdefault(seq, set()).add(changed)
        try:
            yield changed
        finally:
            watchers = self._watchers[seq]
            watchers.discard(changed)
            if not watchers:
                del self._watchers[seq]

    # -- change -------------------------------------------------------------------

    async def cancel(
        self,
        job_id: str,
        if_state: JobState | None = None,
        submitter: int | None = None,
    ) -> Job:
        """Cancel a job, or mark a running one: its processes are the caller's to end.

        Args:
            job_id: which.
            if_state: only if it is in this state.
            submitter: only if this user enqueued it; None: whoever did.

        Raises:
            JobNotFoundError, JobNotYoursError, JobStateError: nothing changed.
        """
        now = self._clock.wall()

        def work(tx: Transaction) -> Job:
            job = _find(tx, job_id, if_state, submitter)
            return _cancel(tx, job, now)

        job = await self._write(work)
        self._announce(job)
        return job

    async def retry(
        self,
        job_id: str,
        if_state: JobState | None = None,
        submitter: int | None = None,
    ) -> Job:
        """Queue a job again, with its whole retry budget.

        Takes and raises as ``cancel``.
        """
        now = self._clock.wall()

        def work(tx: Transaction) -> Job:
            job = _find(tx, job_id, if_state, submitter)
            again = lifecycle.retry(job, now=now)
            tx.update(job, again)
            return again

        job = await self._write(work)
        self._announce(job)
        return job

    async def retry_all(self, state: JobState) -> int:
        """Retry the jobs that are in a state now; return how many.

        Those that come back into the state meanwhile are left for the next call.
        """
        now = self._clock.wall()
        found = (await self.page(state, None, 1)).jobs
        newest = found[0].seq if found else 0
        retried = last = 0
        while last < newest:
            # Onwards only: a job that is back in the state already is not met again.
            jobs = await self._write(
                partial(_retry_in_state, state=state, after=last, upto=newest, now=now),
                weight=CHUNK,
            )
            for job in jobs:
                self._announce(job)
            retried += len(jobs)
            last = jobs[-1].seq if jobs else newest
        return retried

    async def prunable(
        self, states: Sequence[JobState], finished_before: int
    ) -> list[JobView]:
        """Return some finished jobs that may be forgotten, with their attempts."""
        return await self._store.read(
            lambda reader: [
                JobView(job, reader.attempts(job.seq), None)
                for job in reader.prunable(states, finished_before, CHUNK)
            ]
        )

    async def delete(self, jobs: Sequence[Job]) -> int:
        """Forget jobs, those that did not change since; return how many."""
        return await self._write(lambda tx: tx.delete(jobs), weight=len(jobs))

    async def thin_statistics(self) -> bool:
        """Merge some old statistics; return whether more is left to merge."""
        now = self._clock.wall()
        return await self._write(lambda tx: tx.thin_statistics(now, hours=24))

    # -- settings -----------------------------------------------------------------

    @property
    def settings(self) -> Settings:
        """The job settings in force."""
        return self._settings

    async def stored_settings(self) -> dict[str, Value]:
        """Return the settings that were set, without defaults."""
        return await self._store.read(lambda reader: reader.settings())

    async def set_setting(self, key: str, value: Value | str | None) -> Setting:
        """Store a setting; None goes back to the default.

        Raises:
            InvalidSettingError: there is no such setting, or the value is not in range.
        """
        setting = settings.find(key)
        checked = None if value is None else setting.check(value)
        stored = await self._write(lambda tx: _set_setting(tx, setting.key, checked))
        self._settings = settings.in_force(stored)
        return setting

    async def meta(self, key: str) -> str | None:
        """Return a small value of the daemon's own."""
        return await self._store.read(lambda reader: reader.meta(key))

    async def set_meta(self, key: str, value: str) -> None:
        """Store a small value of the daemon's own."""
        await self._write(lambda tx: tx.set_meta(key, value))

    # -- what the scheduler does --------------------------------------------------

    async def running(self) -> list[Job]:
        """Return the jobs in ``processing``."""
        return await self._store.read(lambda reader: reader.running())

    async def next_run_at(self) -> int | None:
        """Return the earliest ``run_at`` that a job waits for."""
        return await self._store.read(lambda reader: reader.next_run_at())

    async def worker_numbers(self, count: int) -> list[int]:
        """Return numbers for new workers."""
        return await self._write(lambda tx: [tx.next_worker() for _ in range(count)])

    async def promote(self) -> int | None:
        """Make jobs ready whose time came; return the time of the next, if any.

        A bounded number at a time: the next time may be in the past.
        """
        now = self._clock.wall()
        return await self._write(lambda tx: _promote(tx, now))

    async def claim(self, workers: Sequence[int]) -> list[Assignment]:
        """Claim up to one job for each worker; return them in the workers' order."""
        now = self._clock.wall()
        assignments = await self._write(lambda tx: self._claim(tx, workers, now))
        for assignment in assignments:
            self._announce(assignment.job)
        return assignments

    async def finish(
        self, seq: int, end: AttemptEnd, *, next_for: int | None = None
    ) -> Finished:
        """Record how an attempt ended; claim the next job for ``next_for`` with it."""
        now, random = self._clock.wall(), self._random()

        def work(tx: Transaction) -> Finished:
            job = _finish(tx, seq, end, now, random)
            claimed = [] if next_for is None else self._claim(tx, [next_for], now)
            return Finished(job, claimed[0] if claimed else None)

        finished = await self._write(work)
        if finished.job:
            self._announce(finished.job)
        if finished.next:
            self._announce(finished.next.job)
        return finished

    def _claim(
        self, tx: Transaction, workers: Sequence[int], now: int
    ) -> list[Assignment]:
        assignments = []
        for worker, job in zip(workers, tx.ready(len(workers)), strict=False):
            lease = tx.next_lease(self._least_lease)
            claimed = lifecycle.claim(job, now=now, lease=lease, worker=worker)
            tx.update(job, claimed)
            could_start = max(job.created_at, job.run_at or 0)
            tx.measure([Measure("wait", now, max(0, now - could_start))])
            env = None if job.env_key is None else self._environment(tx, job.env_key)
            assignments.append(Assignment(claimed, env, job.env_key))
        return assignments

    def _environment(self, tx: Transaction, key: bytes) -> dict[str, str]:
        """Return an environment; runs in the store's writer thread only."""
        if key not in self._environments:
            self._environments[key] = tx.environment(key)
            if len(self._environments) > ENVIRONMENTS_CACHED:
                self._environments.popitem(last=False)
        return self._environments[key]

    async def _write(self, work: Callable[[Transaction], T], *, weight: int = 1) -> T:
        result = await self._store.write(work, weight=weight)
        self.on_write()
        return result

    def _announce(self, job: Job) -> None:
        if job.due is not None:
            self.on_waiting(None if job.due else job.run_at)
        for changed in self._watchers.get(job.seq, ()):
            changed.set()


def _introduced(reader: Reader) -> tuple[str, int] | None:
    """Return the store's own id and when it was made, if it has them."""
    found, born = reader.meta("store_id"), reader.meta("created_at")
    return None if found is None or born is None else (found, int(born))


def _introduce(tx: Transaction, now: int) -> tuple[str, int]:
    """Choose the store's own id; return it, and when the store was made."""
    found = str(uuid4())
    tx.set_meta("store_id", found)
    tx.set_meta("created_at", str(now))
    return found, now


def _enqueue(
    tx: Transaction,
    submissions: Sequence[Submission],
    in_force: Settings,
    if_exists: IfExists,
    now: int,
) -> list[Enqueued]:
    counts = tx.counts()
    room = in_force.max_queued - counts[JobState.PENDING] - counts[JobState.FAILED]
    done = []
    for index, submission in enumerate(submissions):
        there = None if submission.id is None else tx.job(submission.id)
        if there is not None:
            if if_exists is IfExists.ERROR:
                raise JobExistsError(there.id, index)
            _check_same(there, submission, index)
            done.append(Enqueued(there, created=False))
            continue
        room -= 1
        if room < 0:
            raise QueueFullError(in_force.max_queued)
        done.append(Enqueued(tx.insert(submission, in_force, now), created=True))
    return done


_IDENTITY = (
    "command", "queue", "priority", "max_retries", "timeout", "backoff_base",
    "backoff_max", "backoff_jitter", "output_limit", "label",
)  # fmt: skip
"""What must be the same for two submissions with one id to be one job. What a client
inherits from where it happens to run (cwd, umask, environment) and when (run_at) is
not among them: a retry of a lost request may come from elsewhere, and later."""


def _check_same(job: Job, submission: Submission, index: int) -> None:
    for field in _IDENTITY:
        asked = getattr(submission, field)
        if asked is not None and asked != getattr(job, field):
            raise JobConflictError(job.id, field, index)


def _attempts(reader: Reader, job: Job, before: int | None) -> list[Attempt]:
    """Return the last attempts before a run, one more than are shown."""
    attempts = reader.attempts(job.seq, before, ATTEMPTS_SHOWN + 1)
    running = _running(job)
    if running is not None and (before is None or running.run < before):
        attempts.append(running)
    return attempts


def _attempt(reader: Reader, job: Job, after: int | None) -> Attempt | None:
    """Return the first attempt after a run, or the last of all."""
    running = _running(job)
    if after is not None:
        found = reader.attempt_after(job.seq, after)
        return found or (running if running and running.run > after else None)
    if running is not None:
        return running
    recorded = reader.attempts(job.seq, limit=1)
    return recorded[0] if recorded else None


def _running(job: Job) -> Attempt | None:
    if job.lease is None:
        return None
    return Attempt(job.runs, job.lease, job.worker, job.started_at, None)


def _rollup(reader: Reader, since: int) -> tuple[dict[str, Histogram], int | None]:
    """Return some statistics, and from when on there are more."""
    end = reader.rollup_end(since, ROLLUP_ROWS)
    return reader.rollup(since, end), end


def _find(
    reader: Reader,
    job_id: str,
    if_state: JobState | None = None,
    submitter: int | None = None,
) -> Job:
    job = reader.job(job_id)
    if job is None:
        raise JobNotFoundError(job_id)
    # In the same snapshot as what follows: an id can come to name another's job.
    if submitter is not None and job.submitter != submitter:
        raise JobNotYoursError(job_id)
    if if_state is not None and job.state is not if_state:
        raise JobStateError(
            job_id, job.state, f"job {job_id} is {job.state}, not {if_state}"
        )
    return job


def _cancel(tx: Transaction, job: Job, now: int) -> Job:
    cancelled = lifecycle.cancel(job, now=now)
    tx.update(job, cancelled)
    if cancelled.state is JobState.CANCELLED:
        tx.measure([Measure("cancelled", now)])
    return cancelled


def _retry_in_state(
    tx: Transaction, *, state: JobState, after: int, upto: int, now: int
) -> list[Job]:
    jobs = [job for job in tx.in_state(state, CHUNK, after) if job.seq <= upto]
    again = [lifecycle.retry(job, now=now) for job in jobs]
    for old, new in zip(jobs, again, strict=True):
        tx.update(old, new)
    return again


def _set_setting(tx: Transaction, key: str, value: Value | None) -> dict[str, Value]:
    tx.set_setting(key, value)
    return tx.settings()


def _promote(tx: Transaction, now: int) -> int | None:
    tx.promote(now, CHUNK)
    return tx.next_run_at()


def _finish(
    tx: Transaction, seq: int, end: AttemptEnd, now: int, random: float
) -> Job | None:
    job = tx.job_by_seq(seq)
    if job is None or job.lease != end.lease:
        return None
    end = replace(end, started_at=end.started_at or job.started_at)
    finished = lifecycle.finish(job, end, now=now, random=random)
    tx.update(job, finished)
    tx.insert_attempt(job, end)
    tx.measure(_measures(end, finished, now))
    return finished


_COUNTED = {
    JobState.COMPLETED: "completed",
    JobState.DEAD: "dead",
    JobState.CANCELLED: "cancelled",
    JobState.FAILED: "retried",
}


def _measures(end: AttemptEnd, job: Job, now: int) -> Iterator[Measure]:
    if job.state in _COUNTED:
        yield Measure(_COUNTED[job.state], now)
    event = lifecycle.event_of(end)
    if event in {lifecycle.Event.FAIL, lifecycle.Event.LOSE}:
        yield Measure("failed", now)
    if end.reason is Reason.LOST:
        yield Measure("lost", now)
    if end.started_at is not None:
        yield Measure("run", now, max(0, end.finished_at - end.started_at))
