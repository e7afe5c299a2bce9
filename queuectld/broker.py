"""Runs the operations on the queue durably.

An operation (``operations``) runs in a transaction of the store. What it changes in
memory (settings, who watches, the scheduler's wake-up) happens after its commit. When
nobody knows whether that took place, everybody is told to look.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Concatenate, ParamSpec, TypeVar

from queuectl_protocol.vocabulary import JobState
from queuectld.clock import Clock
from queuectld.core import settings, statistics
from queuectld.core.event import Event
from queuectld.core.job import Assignment, AttemptEnd, Job, Submission
from queuectld.core.limits import NO_MEANS, Means
from queuectld.core.settings import Setting, Settings, Value
from queuectld.events import Events, Observer
from queuectld.operations import (
    change,
    claim,
    enqueue,
    finish,
    lookups,
    promote,
    retry_all,
    set_setting,
    upkeep,
)
from queuectld.operations.change import Outcome
from queuectld.operations.done import Done
from queuectld.operations.enqueue import Enqueued, IfExists
from queuectld.operations.finish import Recorded
from queuectld.operations.lookups import Vitals
from queuectld.store.api import (
    OutcomeUnknownError,
    Reader,
    Store,
    StoreError,
    Transaction,
)

P = ParamSpec("P")
T = TypeVar("T")


class Broker:
    """Runs operations on the queue. What they wrote is durable when they return.

    It has a method for each operation that needs more than a transaction: the time, the
    settings, a random number, what is known of running jobs. Others are run by ``run``,
    and lookups by ``read``.

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
        self._clock = clock
        self._random = random
        self._settings = settings.in_force({})
        # By lease: what is running, as it was claimed.
        self._claimed: dict[int, Job] = {}
        # Leases of ends of which nobody knows yet whether they are on record.
        self._unsure: set[int] = set()
        self.events = Events(observer)
        self.store_id = ""
        self.means = means
        self._born = 0
        self._least_lease = 0
        self._summing = asyncio.Lock()

    @property
    def problem(self) -> str | None:
        """Why the store cannot write; None when it can, as far as is known."""
        return self._store.problem

    async def open(self) -> None:
        """Read what must be known before the first request."""
        self._settings = settings.in_force(await self.read(lookups.settings))
        now = self._clock.wall()
        known = await self.read(upkeep.introduced)
        if known is None:
            known = await self.run(lambda tx: upkeep.introduce(tx, now))
        self.store_id, self._born = known
        # The store may have been restored from a copy, and what ran since the copy was
        # made had leases that this store knows nothing of. They count microseconds of
        # the store's life at most, as no daemon claims jobs faster than that: see
        # docs/decisions/0005-leases-after-a-restore.md.
        self._least_lease = max(0, now - self._born) * 1000

    async def run(
        self, operation: Callable[[Transaction], Done[T]], *, weight: int = 1
    ) -> T:
        """Run an operation; return its result once it is durable and announced."""
        try:
            result, announcements = await self._store.write(operation, weight=weight)
        except OutcomeUnknownError:
            self.events.doubt()
            raise
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
        return await self.run(
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

    async def change(
        self,
        event: Event,
        ids: Sequence[str],
        if_state: JobState | None = None,
        *,
        submitter: int | None = None,
    ) -> list[Outcome]:
        """Cancel, retry or start jobs at once, each by itself; return each outcome.

        Of several jobs the texts are left out. ``events.end_of`` waits for the end of
        those that are cancelled and still run.
        """
        now = self._clock.wall()
        return await self.run(
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
        found = (await self.read(lookups.page, [state], None, 1)).jobs
        newest = found[0].seq if found else 0
        retried = skipped = last = 0
        while last < newest:
            # Onwards only: a job that is back in the state already is not met again.
            step = partial(
                retry_all.retry_some,
                state=state,
                after=last,
                upto=newest,
                foreground=foreground,
                now=now,
            )
            done = await self.run(step, weight=retry_all.CHUNK)
            retried += done.retried
            skipped += done.skipped
            last = newest if done.last is None else done.last
        return retried, skipped

    # -- lookups ------------------------------------------------------------------

    async def read(
        self,
        lookup: Callable[Concatenate[Reader, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Return what a lookup finds in a snapshot that has all committed changes."""
        return await self._store.read(lambda reader: lookup(reader, *args, **kwargs))

    async def job(self, job_id: str) -> Job:
        """Return a job; see ``lookups.find``."""
        return await self.read(lookups.find, job_id)

    async def vitals(self) -> Vitals:
        """Return what a monitor looks at in the store."""
        now = self._clock.wall()
        return await self.read(lookups.vitals, now)

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
                rollup, begin = await self.read(lookups.rollup_slice, begin)
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

    async def set_setting(self, key: str, value: Value | str | None) -> Setting:
        """Store a setting; None goes back to the default.

        Raises:
            InvalidSettingError: there is no such setting, the value is not in range,
                or it is a limit to which jobs cannot be held.
        """
        means = self.means
        stored = await self.run(
            lambda tx: set_setting.set_setting(tx, key, value, means=means)
        )
        self._settings = stored.in_force
        return stored.setting

    # -- what the scheduler does --------------------------------------------------

    async def promote(self) -> int | None:
        """Make jobs ready whose time came; return the time of the next, if any.

        A bounded number at a time: the next time may be in the past.
        """
        now = self._clock.wall()
        return await self.run(lambda tx: promote.promote(tx, now))

    async def claim(self, workers: Sequence[int]) -> list[Assignment]:
        """Claim up to one job for each worker; return them in the workers' order."""
        now, least = self._clock.wall(), self._least_lease
        claimed = await self.run(
            lambda tx: claim.claim(tx, workers, least_lease=least, now=now)
        )
        return self._keep(claimed)

    async def claim_job(self, seq: int, worker: int) -> list[Assignment]:
        """Claim one certain job, if it is ready."""
        found = await self._store.read(lambda reader: reader.job_by_seq(seq))
        if found is None or not found.due:
            return []  # and nothing to write
        now, least = self._clock.wall(), self._least_lease
        claimed = await self.run(
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
    ) -> Recorded:
        """Record how an attempt ended; claim the next job for ``next_for`` with it.

        If nobody ``asked`` for an interruption, it is not counted at first; after
        several in a row it counts as a loss.
        """
        now, random, least = self._clock.wall(), self._random(), self._least_lease
        claimed = self._claimed.pop(end.lease, None)
        in_doubt = end.lease in self._unsure
        try:
            finished = await self.run(
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
