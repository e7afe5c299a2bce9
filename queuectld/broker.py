"""Runs the operations on the queue durably.

An operation (``operations``) runs in a transaction of the store. What it changes in
memory (settings, who watches, the scheduler's wake-up) happens after its commit. When
nobody knows whether that took place, everybody is told to look.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Protocol, TypeVar

from queuectl_protocol.vocabulary import JobState
from queuectld.clock import Clock
from queuectld.core import settings, statistics
from queuectld.core.errors import QueueError
from queuectld.core.event import Event
from queuectld.core.job import Assignment, AttemptEnd, Job, Submission
from queuectld.core.limits import NO_MEANS, Means
from queuectld.core.settings import Setting, Settings, Value
from queuectld.events import Events
from queuectld.operations import (
    change,
    claim,
    delete,
    enqueue,
    finish,
    lookups,
    promote,
    retry_all,
    upkeep,
)
from queuectld.operations import settings as set_settings
from queuectld.operations.change import Outcome
from queuectld.operations.done import Done
from queuectld.operations.enqueue import Enqueued, IfExists
from queuectld.operations.finish import Finished
from queuectld.operations.lookups import JobView, Look, Position, Tally, Vitals
from queuectld.store.api import (
    OutcomeUnknownError,
    Page,
    Store,
    StoreError,
    Transaction,
)

T = TypeVar("T")

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


class Observer(Protocol):
    """Who is told what was committed, right after it was."""

    def job_waits(self, run_at: int | None) -> None:
        """A job waits: for a worker (None), or for a time (milliseconds) first."""

    def written(self) -> None:
        """There was a committed write."""

    def in_doubt(self) -> None:
        """Nobody knows whether a write was committed: any job may wait now."""


class Broker:
    """The queue's operations. What they wrote is durable when they return.

    Attributes:
        events: tells who watches of what was committed.
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
        # By lease: what is running, as it was claimed.
        self._claimed: dict[int, Job] = {}
        # Leases of ends of which nobody knows yet whether they are on record.
        self._unsure: set[int] = set()
        self.events = Events(observer.job_waits)
        self.store_id = ""
        self.means = means
        self._born = 0
        self._least_lease = 0
        self._summing = asyncio.Lock()

    @property
    def trouble(self) -> str | None:
        """Why the store cannot write; None when it can, as far as is known."""
        return self._store.trouble

    async def open(self) -> None:
        """Read what must be known before the first request."""
        self._settings = settings.in_force(await self.stored_settings())
        now = self._clock.wall()
        known = await self._store.read(upkeep.introduced)
        if known is None:
            known = await self._run(lambda tx: upkeep.introduce(tx, now))
        self.store_id, self._born = known
        # The store may have been restored from a copy, and what ran since the copy was
        # made had leases that this store knows nothing of. They count microseconds of
        # the store's life at most, as no daemon claims jobs faster than that: see
        # docs/decisions/0005-leases-after-a-restore.md.
        self._least_lease = max(0, now - self._born) * 1000

    async def _run(
        self, operation: Callable[[Transaction], Done[T]], *, weight: int = 1
    ) -> T:
        """Run an operation; return its result once it is durable and announced."""
        try:
            result, announcements = await self._store.write(operation, weight=weight)
        except OutcomeUnknownError:
            # Perhaps somebody waits for just what was committed: let all look.
            self.events.wake_all()
            self._observer.in_doubt()
            raise
        if announcements is not None:
            self._observer.written()
            if announcements:
                self.events.publish(announcements)
        return result

    # -- jobs ---------------------------------------------------------------------

    async def enqueue(
        self, submissions: Sequence[Submission], *, if_exists: IfExists
    ) -> list[Enqueued]:
        """Add jobs, all or none.

        Raises:
            JobExistsError, JobConflictError, QueueFullError, InvalidJobError: nothing
                was added.
        """
        in_force, means, now = self._settings, self.means, self._clock.wall()
        return await self._run(
            lambda tx: enqueue.enqueue(
                tx,
                submissions,
                settings=in_force,
                if_exists=if_exists,
                means=means,
                now=now,
            ),
            weight=enqueue.weight(submissions),
        )

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
        """Cancel, retry or start jobs at once, each by itself; return each outcome.

        Of several jobs the texts are left out. ``end_of`` waits for the end of those
        that are cancelled and still run.
        """
        now = self._clock.wall()
        return await self._run(
            lambda tx: change.change(
                tx, event, ids, if_state=if_state, submitter=submitter, now=now
            ),
            weight=len(ids),
        )

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
            operation = partial(
                retry_all.retry_some,
                state=state,
                after=last,
                upto=newest,
                foreground=foreground,
                now=now,
            )
            done = await self._run(operation, weight=retry_all.CHUNK)
            retried += done.retried
            skipped += done.skipped
            last = newest if done.last is None else done.last
        return retried, skipped

    async def delete(self, jobs: Sequence[Job]) -> list[Job]:
        """Forget jobs, those that did not change since; return these."""
        return await self._run(lambda tx: delete.delete(tx, jobs), weight=len(jobs))

    # -- who watches --------------------------------------------------------------

    def watch(self, seq: int) -> AbstractContextManager[asyncio.Event]:
        """Give an event that is set at each committed change; see ``Events``."""
        return self.events.watch(seq)

    def end_of(self, job: Job) -> asyncio.Future[Outcome]:
        """Return what becomes of a job that was cancelled; see ``Events``."""
        return self.events.end_of(job)

    # -- lookups ------------------------------------------------------------------

    async def job(self, job_id: str, submitter: int | None = None) -> Job:
        """Return a job; see ``lookups.find``."""
        query = partial(lookups.find, job_id=job_id, submitter=submitter)
        return await self._store.read(query)

    async def view(
        self,
        job_id: str,
        *,
        env: bool = False,
        before: int | None = None,
        submitter: int | None = None,
    ) -> JobView:
        """Return a job with its last attempts; see ``lookups.view``."""
        query = partial(
            lookups.view, job_id=job_id, env=env, before=before, submitter=submitter
        )
        return await self._store.read(query)

    async def look(
        self, job_id: str, *, after: int | None = None, submitter: int | None = None
    ) -> Look:
        """Return a job with one attempt: its last, or the first after a ``run``."""
        query = partial(lookups.look, job_id=job_id, after=after, submitter=submitter)
        return await self._store.read(query)

    async def position(self, job_id: str) -> Position:
        """Return a job, and how many are to be claimed before it."""
        return await self._store.read(partial(lookups.position, job_id=job_id))

    async def page(
        self, states: Collection[JobState] | None, before: int | None, limit: int
    ) -> Page:
        """Return a page of the jobs in these states, newest first; None: of all."""
        return await self._store.read(lambda reader: reader.page(states, before, limit))

    async def prunable(
        self, states: Sequence[JobState], finished_before: int
    ) -> list[JobView]:
        """Return some finished jobs that may be forgotten, with their attempts."""
        query = partial(delete.prunable, states=states, finished_before=finished_before)
        return await self._store.read(query)

    async def deletable(
        self, ids: Sequence[str], if_state: JobState | None, submitter: int | None
    ) -> list[JobView | QueueError]:
        """Return jobs that may be forgotten, without texts, or why they may not."""
        query = partial(
            delete.deletable, ids=ids, if_state=if_state, submitter=submitter
        )
        return await self._store.read(query)

    async def counts(self) -> dict[JobState, int]:
        """Return how many jobs are in each state."""
        return await self._store.read(lambda reader: reader.counts())

    async def tally(self) -> Tally:
        """Return how many jobs there are, all at one moment."""
        return await self._store.read(lookups.tally)

    async def vitals(self) -> Vitals:
        """Return what a monitor looks at in the store."""
        now = self._clock.wall()
        return await self._store.read(partial(lookups.vitals, now=now))

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
                    partial(lookups.rollup_slice, since=begin)
                )
                for metric, part in rollup.items():
                    total.add(metric, part.counts, part.total_ms)
        return statistics.summarize(
            total.durations(),
            since=max(since or 0, self._born),
            now=self._clock.wall(),
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
        means = self.means
        stored = await self._run(
            lambda tx: set_settings.set_setting(tx, key, value, means=means)
        )
        self._settings = stored.in_force
        return stored.setting

    # -- what the scheduler does --------------------------------------------------

    async def running(self) -> list[Job]:
        """Return the jobs in ``processing``."""
        return await self._store.read(lambda reader: reader.running())

    async def next_run_at(self) -> int | None:
        """Return the earliest ``run_at`` that a job waits for."""
        return await self._store.read(lambda reader: reader.next_run_at())

    async def promote(self) -> int | None:
        """Make jobs ready whose time came; return the time of the next, if any.

        A bounded number at a time: the next time may be in the past.
        """
        now = self._clock.wall()
        return await self._run(lambda tx: promote.promote(tx, now))

    async def claim(self, workers: Sequence[int]) -> list[Assignment]:
        """Claim up to one job for each worker; return them in the workers' order."""
        now, least = self._clock.wall(), self._least_lease
        claimed = await self._run(
            lambda tx: claim.claim(tx, workers, least_lease=least, now=now)
        )
        return self._keep(claimed)

    async def claim_job(self, seq: int, worker: int) -> list[Assignment]:
        """Claim one certain job, if it is ready."""
        found = await self._store.read(lambda reader: reader.job_by_seq(seq))
        if found is None or not found.due:
            return []  # and nothing to write
        now, least = self._clock.wall(), self._least_lease
        claimed = await self._run(
            lambda tx: claim.claim_job(tx, seq, worker, least_lease=least, now=now)
        )
        return self._keep(claimed)

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
        now, random, least = self._clock.wall(), self._random(), self._least_lease
        claimed = self._claimed.pop(end.lease, None)
        in_doubt = end.lease in self._unsure
        try:
            finished = await self._run(
                lambda tx: finish.finish(
                    tx,
                    seq,
                    end,
                    claimed=claimed,
                    in_doubt=in_doubt,
                    asked=asked,
                    next_for=next_for,
                    least_lease=least,
                    now=now,
                    random=random,
                )
            )
        except StoreError:
            self._unsure.add(end.lease)
            raise
        self._unsure.discard(end.lease)
        if finished.next is not None:
            self._keep([finished.next])
        return finished

    def _keep(self, assignments: list[Assignment]) -> list[Assignment]:
        """Keep claimed jobs in memory, so that their end need not read them again."""
        for assignment in assignments:
            self._claimed[assignment.lease] = assignment.job
        return assignments

    # -- what the daemon writes for itself ----------------------------------------

    async def meta(self, key: str) -> str | None:
        """Return a small value of the daemon's own."""
        return await self._store.read(lambda reader: reader.meta(key))

    async def set_meta(self, key: str, value: str) -> None:
        """Store a small value of the daemon's own."""
        await self._run(lambda tx: upkeep.set_meta(tx, key, value))

    async def worker_numbers(self, count: int) -> list[int]:
        """Return numbers for new workers."""
        return await self._run(lambda tx: upkeep.number_workers(tx, count))

    async def thin_statistics(self) -> bool:
        """Merge some old statistics; return whether more is left to merge."""
        now = self._clock.wall()
        return await self._run(
            lambda tx: upkeep.thin_statistics(tx, now), weight=upkeep.THINNING_WEIGHT
        )

    async def probe(self) -> None:
        """Return when something was written.

        Raises:
            StoreError: nothing can be, and why.
        """
        await self._run(upkeep.probe)


def _only(outcomes: Sequence[Outcome]) -> Job:
    """Return what became of the one job; raise it if it is a refusal."""
    (outcome,) = outcomes
    if isinstance(outcome, QueueError):
        raise outcome
    return outcome
