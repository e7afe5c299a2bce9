"""What can be done to the queue, durably, and who hears of it.

The broker runs units of work (``units``) on the store. Everything that must be seen in
memory (settings, watchers, the scheduler's wake-up) happens after their commit.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol, TypeVar

from queuectl_protocol.vocabulary import JobState
from queuectld.clock import Clock
from queuectld.core import lifecycle, limits, settings, statistics, submission
from queuectld.core.errors import InvalidSettingError, JobNotFoundError, QueueError
from queuectld.core.job import Assignment, AttemptEnd, Job, Submission
from queuectld.core.lifecycle import Event
from queuectld.core.limits import NO_MEANS, Limits, Means
from queuectld.core.settings import Setting, Settings, Value
from queuectld.host import job_log
from queuectld.operations import units
from queuectld.operations.units import (
    Enqueued,
    Finished,
    IfExists,
    JobView,
    Look,
    Tally,
)
from queuectld.store.api import (
    Measure,
    OutcomeUnknownError,
    Page,
    Reader,
    Store,
    StoreError,
    Transaction,
)

T = TypeVar("T")

ENVIRONMENTS_CACHED = 64
"""Environments kept in memory for claims. A key names its content, so none is stale."""

BYTES_OF_A_JOB = 10_000
"""Of commands and directories, that are as long to write as a small job is."""

__all__ = [
    "Broker",
    "Enqueued",
    "Event",
    "Finished",
    "IfExists",
    "JobView",
    "Look",
    "Outcome",
    "Tally",
]


Outcome = Job | QueueError
"""What became of one of several jobs."""


class Observer(Protocol):
    """Who is told what was committed, right after it was."""

    def job_waits(self, run_at: int | None) -> None:
        """A job waits: for a worker (None), or for a time (milliseconds) first."""

    def written(self) -> None:
        """There was a committed write."""

    def in_doubt(self) -> None:
        """Nobody knows whether a write was committed: any job may wait now."""


class EndToCome:
    """The end of a cancelled attempt that is to come.

    Attributes:
        outcome: the job as that leaves it.
    """

    def __init__(self, job_id: str) -> None:
        self._job_id = job_id
        self.outcome: asyncio.Future[Outcome] = (
            asyncio.get_running_loop().create_future()
        )

    def over(self, job: Job | None) -> None:
        """It has come, and the job is this by now; None: it is forgotten."""
        self.outcome.set_result(job or JobNotFoundError(self._job_id))


class Broker:
    """The queue's operations. All are durable when they return.

    Attributes:
        store_id: the store's own uuid.
        means: what jobs can be held to.
    """

    def __init__(
        self,
        store: Store,
        observer: Observer,
        clock: Clock,
        random: Callable[[], float],
        means: Means = NO_MEANS,
    ) -> None:
        self._store = store
        self._observer = observer
        self._clock = clock
        self._random = random
        self._settings = settings.in_force({})
        self._watchers: dict[int, set[asyncio.Event]] = {}
        self._environments: OrderedDict[bytes, dict[str, str]] = OrderedDict()
        # By lease: what is running, as it was claimed.
        self._claimed: dict[int, Job] = {}
        # By lease: cancelled attempts that go on; the job, as their end leaves it.
        self._ends_to_come: dict[int, EndToCome] = {}
        # Leases of ends of which nobody knows yet whether they are on record.
        self._unsure: set[int] = set()
        self.store_id = ""
        self.means = means
        self._born = 0
        self._least_lease = 0
        self._summing = asyncio.Lock()

    async def open(self) -> None:
        """Read what must be known before the first request."""
        self._settings = settings.in_force(
            await self._store.read(lambda reader: reader.settings())
        )
        now = self._clock.wall()
        known = await self._store.read(units.introduced)
        if known is None:
            known = await self._write(lambda tx: units.introduce(tx, now))
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
            JobExistsError, JobConflictError, QueueFullError, InvalidJobError: nothing
                was added.
        """
        in_force, now, means = self._settings, self._clock.wall(), self.means
        done = await self._write(
            lambda tx: units.enqueue(
                tx, submissions, in_force, if_exists, now=now, means=means
            ),
            weight=_weight(submissions),
        )
        for enqueued in done:
            self._announce(enqueued.job)
            if enqueued.created:
                job_log.enqueued(enqueued.job)
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
            lambda reader: units.find(reader, job_id, submitter=submitter)
        )

    async def view(
        self,
        job_id: str,
        *,
        env: bool = False,
        before: int | None = None,
        submitter: int | None = None,
    ) -> JobView:
        """Return a job with its attempts, the last ``units.ATTEMPTS_SHOWN`` of them.

        Args:
            job_id: which.
            env: with its environment.
            before: attempts with ``run`` under this only.
            submitter: as for ``job``.

        Raises:
            JobNotFoundError, JobNotYoursError: as ``job``.
        """

        def query(reader: Reader) -> JobView:
            job = units.find(reader, job_id, submitter=submitter)
            known = reader.environment(job.env_key) if env and job.env_key else None
            attempts = units.attempts_of(reader, job, before)
            shown = attempts[-units.ATTEMPTS_SHOWN :]
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
            job = units.find(reader, job_id, submitter=submitter)
            return Look(job, units.attempt_after(reader, job, after))

        return await self._store.read(query)

    async def position(self, job_id: str) -> units.Position:
        """Return a job, and how many are to be claimed before it.

        Raises:
            JobNotFoundError: there is none with this id.
        """
        return await self._store.read(lambda reader: units.position(reader, job_id))

    async def page(
        self, states: Collection[JobState] | None, before: int | None, limit: int
    ) -> Page:
        """Return a page of the jobs in these states, newest first; None: of all."""
        return await self._store.read(lambda reader: reader.page(states, before, limit))

    @property
    def trouble(self) -> str | None:
        """Why the store cannot write; None when it can, as far as is known."""
        return self._store.trouble

    async def counts(self) -> dict[JobState, int]:
        """Return how many jobs are in each state."""
        return await self._store.read(lambda reader: reader.counts())

    async def vitals(self) -> units.Vitals:
        """Return what a monitor looks at in the store."""
        now = self._clock.wall()
        return await self._store.read(lambda reader: units.vitals(reader, now))

    async def probe(self) -> None:
        """Return when something was written.

        Raises:
            StoreError: nothing can be, and why.
        """
        await self._write(units.nothing)

    async def tally(self) -> Tally:
        """Return how many jobs there are, all at one moment."""
        return await self._store.read(
            lambda reader: Tally(reader.counts(), reader.delayed())
        )

    async def stats(self, since: int | None) -> statistics.Stats:
        """Return the statistics from a time (milliseconds) on; None: from the first.

        They begin with the whole minute of that time, and say so.
        """
        if since is not None:
            since -= since % statistics.MINUTE_MS
        total = statistics.Total()
        begin: int | None = since or 0
        async with self._summing:
            while begin is not None:
                rollup, begin = await self._store.read(
                    partial(units.rollup_slice, since=begin)
                )
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
        return _only(
            await self.change(Event.CANCEL, [job_id], if_state, submitter=submitter)
        )

    async def retry(
        self,
        job_id: str,
        if_state: JobState | None = None,
        submitter: int | None = None,
    ) -> Job:
        """Queue a job again, with its whole retry budget.

        Takes and raises as ``cancel``.
        """
        return _only(
            await self.change(Event.RETRY, [job_id], if_state, submitter=submitter)
        )

    async def change(
        self,
        event: Event,
        ids: Sequence[str],
        if_state: JobState | None = None,
        *,
        submitter: int | None = None,
    ) -> list[Outcome]:
        """Cancel, retry or start jobs in one unit of work; return what became of each.

        Each is decided by itself, in the order given. Of several jobs the texts are
        left out. ``end_of`` waits for those that are cancelled and still run.
        """
        now = self._clock.wall()
        outcomes = await self._commit(
            lambda tx: units.change_each(
                tx, event, ids, if_state=if_state, submitter=submitter, now=now
            ),
            weight=len(ids),
        )
        if any(isinstance(outcome, Job) for outcome in outcomes):
            self._observer.written()
        for job in outcomes:
            if isinstance(job, Job):
                self._announce(job)
                job_log.changed(event, job)
                if event is Event.CANCEL and job.lease is not None:
                    # Answers come in the order of the commits, and nothing is waited
                    # for in between: this lease's end has not been announced yet.
                    self._ends_to_come.setdefault(job.lease, EndToCome(job.id))
        return outcomes

    def end_of(self, job: Job) -> asyncio.Future[Outcome]:
        """Return what becomes of a job that was cancelled, for whoever waits for it.

        It is the job as the end of that attempt leaves it, whatever comes after, such
        as a retry. To be called with what ``change`` has returned, before anything
        else is waited for.
        """
        to_come = None if job.lease is None else self._ends_to_come.get(job.lease)
        if to_come is None:
            to_come = EndToCome(job.id)
            to_come.over(job)
        return asyncio.shield(to_come.outcome)

    async def retry_all(
        self, state: JobState, *, foreground: bool | None = None
    ) -> tuple[int, int]:
        """Retry the jobs that are in a state now; return how many, and how many not.

        Not retried are those that are foreground, or are not, as ``foreground`` says.

        Those that come back into the state meanwhile are left for the next call.
        """
        now = self._clock.wall()
        found = (await self.page([state], None, 1)).jobs
        newest = found[0].seq if found else 0
        retried = skipped = last = 0
        while last < newest:
            # Onwards only: a job that is back in the state already is not met again.
            done = await self._write(
                partial(
                    units.retry_in_state,
                    state=state,
                    after=last,
                    upto=newest,
                    foreground=foreground,
                    now=now,
                ),
                weight=units.CHUNK,
            )
            for job in done.jobs:
                self._announce(job)
                job_log.changed(Event.RETRY, job)
            retried += len(done.jobs)
            skipped += done.skipped
            last = newest if done.last is None else done.last
        return retried, skipped

    async def prunable(
        self, states: Sequence[JobState], finished_before: int
    ) -> list[JobView]:
        """Return some finished jobs that may be forgotten, with their attempts."""
        return await self._store.read(
            lambda reader: [
                JobView(job, reader.attempts(job.seq), None)
                for job in reader.prunable(
                    states, finished_before, units.PRUNED_AT_ONCE
                )
            ]
        )

    async def deletable(
        self, ids: Sequence[str], if_state: JobState | None, submitter: int | None
    ) -> list[JobView | QueueError]:
        """Return jobs that may be forgotten, without texts, or why they may not."""
        return await self._store.read(
            lambda reader: units.find_deletable(reader, ids, if_state, submitter)
        )

    async def delete(self, jobs: Sequence[Job]) -> list[Job]:
        """Forget jobs, those that did not change since; return these."""
        gone = await self._write(lambda tx: tx.delete(jobs), weight=len(jobs))
        for job in gone:
            self._wake_watchers(job.seq)
        return gone

    async def thin_statistics(self) -> bool:
        """Merge some old statistics; return whether more is left to merge."""
        now = self._clock.wall()
        return await self._write(
            lambda tx: tx.thin_statistics(now, hours=24), weight=units.CHUNK
        )

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
            InvalidSettingError: there is no such setting, the value is not in range,
                or it is a limit to which jobs cannot be held.
        """
        setting = settings.find(key)
        checked = None if value is None else setting.check(value)
        self._check_enforceable(setting, checked)
        stored = await self._write(
            lambda tx: units.set_setting(tx, setting.key, checked)
        )
        self._settings = settings.in_force(stored)
        return setting

    def _check_enforceable(self, setting: Setting, value: Value | None) -> None:
        if value is None or setting.key not in Limits._fields:
            return
        changed: dict[str, Any] = {setting.key: value}
        if refused := limits.refusal(limits.NONE._replace(**changed), self.means):
            raise InvalidSettingError(setting.key, refused[1])

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
        return await self._write(lambda tx: units.promote(tx, now))

    async def claim(self, workers: Sequence[int]) -> list[Assignment]:
        """Claim up to one job for each worker; return them in the workers' order."""
        now = self._clock.wall()
        return await self._claimed_by(lambda tx: self._claim(tx, workers, now))

    async def claim_job(self, seq: int, worker: int) -> list[Assignment]:
        """Claim one certain job, if it is ready."""
        found = await self._store.read(lambda reader: reader.job_by_seq(seq))
        if found is None or not found.due:
            return []  # and nothing to write
        now = self._clock.wall()

        def work(tx: Transaction) -> list[Assignment]:
            job = tx.job_by_seq(seq)
            return [self._take(tx, job, worker, now)] if job and job.due else []

        return await self._claimed_by(work)

    async def _claimed_by(
        self, work: Callable[[Transaction], list[Assignment]]
    ) -> list[Assignment]:
        assignments = await self._write(work)
        for assignment in assignments:
            self._started(assignment)
        return assignments

    async def finish(
        self,
        seq: int,
        end: AttemptEnd,
        *,
        next_for: int | None = None,
        asked: bool = True,
    ) -> Finished:
        """Record how an attempt ended; claim the next job for ``next_for`` with it.

        Interruptions that nobody ``asked`` for do not stay uncounted for ever.
        """
        now, random = self._clock.wall(), self._random()
        as_claimed = self._claimed.pop(end.lease, None)

        def work(tx: Transaction) -> tuple[Finished, Job | None]:
            job = units.finish(
                tx,
                seq,
                end,
                now=now,
                random=random,
                claimed=as_claimed,
                asked=asked,
            )
            standing = job
            if job is None and end.lease in self._unsure:
                # The try before this one was committed and could not say so: whoever
                # waits for it has not been told.
                standing = tx.job_by_seq(seq)
                job = standing if units.recorded(tx, seq, end.lease) else None
            claimed = [] if next_for is None else self._claim(tx, [next_for], now)
            return Finished(job, claimed[0] if claimed else None), standing

        try:
            finished, standing = await self._write(work)
        except StoreError:
            self._unsure.add(end.lease)
            raise
        self._unsure.discard(end.lease)
        self._ended(end.lease, standing)
        if finished.job:
            job_log.finished(finished.job, end)
        if finished.next:
            self._started(finished.next)
        return finished

    def _ended(self, lease: int, job: Job | None) -> None:
        """Tell that an attempt is over, and what the job is by now."""
        if job is not None:
            self._announce(job)
        to_come = self._ends_to_come.pop(lease, None)
        if to_come is not None:
            to_come.over(job)

    def _started(self, assignment: Assignment) -> None:
        self._claimed[assignment.lease] = assignment.job
        self._announce(assignment.job)
        job_log.started(assignment.job)

    def _claim(
        self, tx: Transaction, workers: Sequence[int], now: int
    ) -> list[Assignment]:
        ready = zip(workers, tx.ready(len(workers)), strict=False)
        return [self._take(tx, job, worker, now) for worker, job in ready]

    def _take(self, tx: Transaction, job: Job, worker: int, now: int) -> Assignment:
        lease = tx.next_lease(self._least_lease)
        claimed = lifecycle.claim(job, now=now, lease=lease, worker=worker)
        tx.update(job, claimed)
        could_start = max(job.created_at, job.run_at or 0)
        tx.measure([Measure("wait", now, max(0, now - could_start))])
        env = None if job.env_key is None else self._environment(tx, job.env_key)
        return Assignment(claimed, env, job.env_key)

    def _environment(self, tx: Transaction, key: bytes) -> dict[str, str]:
        """Return an environment; runs in the store's writer thread only."""
        if key not in self._environments:
            self._environments[key] = tx.environment(key)
            if len(self._environments) > ENVIRONMENTS_CACHED:
                self._environments.popitem(last=False)
        return self._environments[key]

    async def _write(self, work: Callable[[Transaction], T], *, weight: int = 1) -> T:
        result = await self._commit(work, weight=weight)
        self._observer.written()
        return result

    async def _commit(self, work: Callable[[Transaction], T], *, weight: int = 1) -> T:
        """Run a unit of work that may find nothing to change."""
        try:
            return await self._store.write(work, weight=weight)
        except OutcomeUnknownError:
            # Perhaps somebody waits for just what was committed: let all look.
            for seq in self._watchers:
                self._wake_watchers(seq)
            self._observer.in_doubt()
            raise

    def _announce(self, job: Job) -> None:
        if job.due is not None:
            self._observer.job_waits(None if job.due else job.run_at)
        self._wake_watchers(job.seq)

    def _wake_watchers(self, seq: int) -> None:
        for changed in self._watchers.get(seq, ()):
            changed.set()


def _only(outcomes: Sequence[Outcome]) -> Job:
    """Return what became of the one job; raise it if it is a refusal."""
    (outcome,) = outcomes
    if isinstance(outcome, QueueError):
        raise outcome
    return outcome


def _weight(submissions: Sequence[Submission]) -> int:
    """Return what to say of a batch: its jobs, or as many as it has bytes for."""
    size = sum(map(submission.weight, submissions))
    return max(len(submissions), size // BYTES_OF_A_JOB)
