"""Carries out requests for more or fewer workers, and waits until they are fulfilled.

A request changes how many workers are desired. ``starting`` starts the missing ones;
this module stops those that are too many. It knows nothing of jobs, except that the
pool can end the attempt of a worker.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import NamedTuple

from queuectl_protocol.vocabulary import Reason
from queuectld.broker import Broker
from queuectld.control.desired import DesiredWorkers, active, peer_of
from queuectld.control.starting import WorkerStarter
from queuectld.control.waiting import StartRequest, WaitingRequests
from queuectld.control.wakeup import WakeUp
from queuectld.core.errors import NO_DESCRIPTORS, DrainingError, WorkersNotReadyError
from queuectld.workers.daemon_side.handle import Reservation, WorkerHandle
from queuectld.workers.daemon_side.pool import Pool

READY_WITHIN = 30.0
"""Seconds until workers that were asked for must be ready. One takes about 0.1."""


class WorkerCounts(NamedTuple):
    """How many workers there are, without those that are reserved for one job.

    Attributes:
        active: those that take jobs, or will when they are ready.
        busy: those that run a job.
        wanted: the wanted number, beside those that belong to a connection.
    """

    active: int
    busy: int
    wanted: int


@dataclass(frozen=True, slots=True)
class Stopped:
    """The result of a stop: how many workers, and how many of them were interrupted."""

    stopped: int
    interrupted: int


@dataclass(frozen=True, slots=True)
class Scaled:
    """The result of a change to a number of workers.

    Attributes:
        started: the new workers, ready.
        stopped: the result for those that were too many.
    """

    started: list[WorkerHandle]
    stopped: Stopped


class Supervisor:
    """Carries out the requests for more and for fewer workers."""

    def __init__(
        self,
        *,
        broker: Broker,
        pool: Pool,
        desired: DesiredWorkers,
        waiting: WaitingRequests,
        starter: WorkerStarter,
        wakeup: WakeUp,
    ) -> None:
        self._broker = broker
        self._pool = pool
        self._desired = desired
        self._waiting = waiting
        self._starter = starter
        self._wakeup = wakeup

    @property
    def draining(self) -> bool:
        """Whether the daemon ends: no worker is started, and no job is claimed."""
        return self._desired.draining

    @property
    def wanted(self) -> int:
        """Workers wanted beside those that belong to a connection."""
        return self._desired.wanted

    @property
    def active(self) -> int:
        """Workers that take any job, or will when they are ready."""
        return sum(not w.stopping and w.only_for is None for w in self._pool)

    def counts(self) -> WorkerCounts:
        """Return how many workers there are."""
        busy = sum(w.attempt is not None and w.only_for is None for w in self._pool)
        return WorkerCounts(self.active, busy, self.wanted)

    # -- more ---------------------------------------------------------------------

    async def start(self, count: int, owner: object | None) -> list[WorkerHandle]:
        """Add workers; return them when they are ready.

        Raises:
            TooManyWorkersError, DrainingError: nothing was started.
            WorkersNotReadyError: they are wanted, but did not become ready in time.
        """
        self._refuse_if_draining()
        if owner is None:
            await self._change_wanted(lambda wanted: wanted + count)
        else:
            self._desired.add(owner, count)
        # No await before this: workers that start from now on may count for it.
        return await self._wait_for(self._waiting.add(owner, count))

    async def scale(self, count: int, *, interrupt_after: float | None) -> Scaled:
        """Start or stop workers so that there are ``count``, beside the bound ones.

        Return when the new ones are ready and the processes of the others are gone.
        These are stopped as by ``stop``, the idle ones first.

        Raises:
            as ``start``.
        """
        self._refuse_if_draining()
        missing = 0

        def to_count(wanted: int) -> int:
            nonlocal missing
            missing = max(0, count - wanted)
            return count

        if count < self.wanted or len(active(self._pool, None)) > count:
            targets = await self._stop_surplus(to_count)
        else:
            await self._change_wanted(to_count)
            targets = []
        request = self._waiting.add(None, missing)
        stopped = await self.retire(targets, interrupt_after=interrupt_after)
        return Scaled(await self._wait_for(request), stopped)

    async def ensure(self, count: int) -> int:
        """Start workers if fewer than ``count`` run; return how many run then.

        Raises:
            as ``start``.
        """
        self._refuse_if_draining()
        expected = self._desired.for_any_job
        if expected < count:
            bound = expected - self.wanted
            await self._change_wanted(lambda wanted: max(wanted, count - bound))
        ready = (w.ready and not w.stopping and w.only_for is None for w in self._pool)
        if sum(ready) < count:
            await self._wait_until_ready(None)
        return self.active

    def reserve(self, peer: object, seq: int) -> bool:
        """Add a worker for one job only, unless there are workers for any job.

        It stops when the job is not ready (any more), or when the connection ends.
        Return whether a worker was added.

        Raises:
            TooManyWorkersError, DrainingError: none was.
        """
        self._refuse_if_draining()
        if self._desired.for_any_job:
            return False
        self._desired.add(Reservation(peer, seq), 1)
        return True

    def _refuse_if_draining(self) -> None:
        if self._desired.draining:
            raise DrainingError

    async def _change_wanted(self, change: Callable[[int], int]) -> None:
        async with self._desired.lock:
            await self._desired.want(change)

    async def _wait_for(self, request: StartRequest) -> list[WorkerHandle]:
        """Wait for the workers of a request; return those that still run."""
        try:
            await self._wait_until_ready(request.owner, lambda: request.fulfilled)
        finally:
            self._waiting.remove(request)
        return [w for w in request.started if self._pool.workers.get(w.number) is w]

    async def _wait_until_ready(
        self, owner: object | None, fulfilled: Callable[[], bool] = lambda: False
    ) -> None:
        """Wait until that is true or all workers desired for ``owner`` are ready."""

        def over() -> bool:
            ready = sum(worker.ready for worker in active(self._pool, owner))
            if fulfilled() or ready >= self._desired.of(owner):
                return True
            self._refuse_if_draining()
            return False

        try:
            async with asyncio.timeout(READY_WITHIN):
                await self._waiting.until(over)
        except TimeoutError:
            problem = self._starter.problem
            if problem is not None and problem.errno in NO_DESCRIPTORS:
                raise problem from None
            why = problem.strerror if problem is not None else None
            raise WorkersNotReadyError(READY_WITHIN, why) from None

    # -- fewer --------------------------------------------------------------------
    # A worker is chosen, stopped and no longer desired without an await in between:
    # two requests at the same time must not choose the same worker and count it twice.

    async def stop(
        self,
        *,
        interrupt_after: float | None,
        only: Collection[int] | None = None,
        count: int | None = None,
    ) -> Stopped:
        """Stop workers, by default all; return when their processes are gone.

        Running jobs finish first, for at most ``interrupt_after`` seconds if that is
        given; then they are interrupted.

        Args:
            interrupt_after: seconds; None: never.
            only: numbers of workers.
            count: that many of those that are not bound, the idle ones first.
        """
        if count is not None:
            targets = await self._stop_surplus(lambda wanted: max(0, wanted - count))
        elif only is not None:
            targets = await self._stop_these(only)
        else:
            targets = await self._stop_all()
        return await self.retire(targets, interrupt_after=interrupt_after)

    async def retire_all(self, *, interrupt_after: float | None) -> Stopped:
        """Stop all workers as ``stop`` does; the wanted number does not change."""
        return await self.retire(await self._all(), interrupt_after=interrupt_after)

    async def retire(
        self, targets: list[WorkerHandle], *, interrupt_after: float | None
    ) -> Stopped:
        """Stop these workers; after a time, interrupt those that still run a job."""
        self._tell_to_stop(targets)
        interrupted = 0
        if not await _gone(targets, interrupt_after):
            grace = self._broker.settings.kill_grace
            for worker in targets:
                ended = self._pool.end_attempt(worker, Reason.INTERRUPTED, grace)
                interrupted += ended and not worker.gone.is_set()
            self._wakeup.wake()
            await _gone(targets, None)
        return Stopped(len(targets), interrupted)

    def dismiss(self, worker: WorkerHandle) -> None:
        """Stop a reserved worker whose one job is not ready."""
        self._desired.remove(worker.owner)
        self._pool.stop(worker)

    def release(self, peer: object) -> None:
        """Stop the workers of a connection that has ended; their jobs finish."""
        if self._desired.remove_peer(peer):
            for worker in self._pool:
                if peer_of(worker.owner) is peer:
                    self._pool.stop(worker)

    async def left(self, owner: object) -> None:
        """Return when no worker is bound to ``owner`` and none is desired for it."""
        await self._waiting.until(
            lambda: (
                not self._desired.of(owner)
                and all(worker.owner is not owner for worker in self._pool)
            )
        )

    async def _stop_surplus(self, change: Callable[[int], int]) -> list[WorkerHandle]:
        """Change the wanted number; stop and return the workers above it."""
        async with self._desired.lock:
            await self._desired.want(change)
            async with self._starter.lock:
                own = sorted(active(self._pool, None), key=_loss)
                targets = own[: max(0, len(own) - self.wanted)]
                self._tell_to_stop(targets)
        return targets

    async def _stop_these(self, numbers: Collection[int]) -> list[WorkerHandle]:
        """Stop and return the workers with these numbers; desire that many fewer."""
        async with self._desired.lock, self._starter.lock:
            targets = [w for w in self._pool if w.number in numbers]
            going = Counter(w.owner for w in targets if not w.stopping)
            if own := going.pop(None, 0):
                await self._desired.want(lambda wanted: max(0, wanted - own))
            for owner, count in going.items():
                self._desired.subtract(owner, count)
            self._tell_to_stop(targets)
        return targets

    async def _stop_all(self) -> list[WorkerHandle]:
        """Stop and return all workers, and desire none."""
        async with self._desired.lock:
            await self._desired.want(lambda _: 0)
            self._desired.clear()
            targets = await self._all()
            self._tell_to_stop(targets)
        return targets

    async def _all(self) -> list[WorkerHandle]:
        """Return all workers, including those that are just being started."""
        async with self._starter.lock:
            return list(self._pool)

    def _tell_to_stop(self, targets: Collection[WorkerHandle]) -> None:
        for worker in targets:
            self._waiting.stopped(worker)
            self._pool.stop(worker)
        self._waiting.changed()
        self._wakeup.wake()  # to kill those that do not end in time


def _loss(worker: WorkerHandle) -> tuple[bool, bool, bool, int]:
    """Return the sort key of workers: the one whose stop loses least comes first."""
    begun = worker.attempt.started_at if worker.attempt is not None else 0
    busy = worker.attempt is not None or worker.claiming
    return (busy, worker.ready, not worker.adopted, -begun)


async def _gone(workers: Collection[WorkerHandle], within: float | None) -> bool:
    """Wait until all are gone; return whether they are, ``within`` seconds later."""
    try:
        async with asyncio.timeout(within):
            for worker in workers:
                await worker.gone.wait()
    except TimeoutError:
        return False
    return True
