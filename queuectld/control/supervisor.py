"""How many workers there should be, and making it so: desired against running.

Owns the wanted number, which survives restarts, and the workers bound to a client's
connection, which do not. Knows nothing of jobs beyond asking the pool to end one.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass

from queuectl_protocol.vocabulary import Reason
from queuectld.broker import Broker
from queuectld.clock import Clock
from queuectld.control.start_requests import StartRequest, StartRequests
from queuectld.control.wakeup import WakeUp
from queuectld.core.errors import (
    NO_DESCRIPTORS,
    DrainingError,
    TooManyWorkersError,
    WorkersNotReadyError,
)
from queuectld.host import logs
from queuectld.workers.daemon_side.handle import Reservation, WorkerHandle
from queuectld.workers.daemon_side.pool import Pool

_events = logs.get("workers")

MAX_WORKERS = 256

READY_WITHIN = 30.0
"""Seconds until workers that were asked for must be ready. One takes about 0.1."""

RESPAWN_BASE, RESPAWN_MAX, RESPAWN_DOUBLINGS = 0.1, 30.0, 10
"""Seconds to the next try when workers die before they are ready: doubled each time."""

_WANTED = "workers_wanted"


@dataclass(frozen=True, slots=True)
class Stopped:
    """What a stop of workers came to."""

    stopped: int
    interrupted: int


@dataclass(frozen=True, slots=True)
class Scaled:
    """What it took to have a number of workers.

    Attributes:
        started: the new ones, ready.
        stopped: what came of those that were too many.
    """

    started: list[WorkerHandle]
    stopped: Stopped


class Supervisor:
    """Keeps the pool at strength.

    Attributes:
        draining: no worker is started any more.
    """

    def __init__(
        self, broker: Broker, pool: Pool, wakeup: WakeUp, clock: Clock
    ) -> None:
        self._broker = broker
        self._pool = pool
        self._wakeup = wakeup
        self._clock = clock
        # The pool's own workers are desired under None, others under their owner.
        self._desired: Counter[object] = Counter()
        self._requests = StartRequests()
        self._pulse = asyncio.Event()
        self._failed_starts = 0
        self._problem: OSError | None = None  # of the last start that failed
        self._not_before = 0.0
        self._changing = asyncio.Lock()
        self._starting = asyncio.Lock()
        self.draining = False

    async def open(self) -> None:
        """Read how many workers are wanted."""
        self._desired[None] = int(await self._broker.meta(_WANTED) or 0)

    @property
    def wanted(self) -> int:
        """Workers wanted beside those that are bound to a connection."""
        return self._desired[None]

    @property
    def active(self) -> int:
        """Workers that take any job, or will when they are ready."""
        return sum(not w.stopping and w.only_for is None for w in self._pool)

    @property
    def busy(self) -> int:
        """Workers that run a job, of those that take any."""
        return sum(w.attempt is not None and w.only_for is None for w in self._pool)

    def drain(self) -> None:
        """Start no worker any more, and tell who waits for one."""
        self.draining = True
        self._pulse.set()

    # -- requests -----------------------------------------------------------------

    async def start(self, count: int, owner: object | None) -> list[WorkerHandle]:
        """Add workers; return them when they are ready.

        Raises:
            TooManyWorkersError, DrainingError: nothing was started.
            WorkersNotReadyError: they are wanted, and do not come up.
        """
        if self.draining:
            raise DrainingError
        if owner is None:
            await self._change_wanted(lambda wanted: wanted + count)
        else:
            self._check_room(count)
            self._desired[owner] += count
            self._wakeup.wake()
        # Before anything else can happen: what is started from now on may be its own.
        return await self._come(self._requests.add(owner, count))

    async def scale(self, count: int, *, interrupt_after: float | None) -> Scaled:
        """Have ``count`` workers beside the bound ones: start some, or stop some.

        Return when the new ones are ready and the processes of the others gone; these
        are stopped as by ``stop``, the idle ones first.

        Raises:
            as ``start``.
        """
        if self.draining:
            raise DrainingError
        missing = 0

        def to_count(wanted: int) -> int:
            nonlocal missing
            missing = max(0, count - wanted)
            return count

        if count < self.wanted or len(self._active(None)) > count:
            targets = await self._shrink(to_count)
        else:
            await self._change_wanted(to_count)
            targets = []
        request = self._requests.add(None, missing)
        stopped = await self.retire(targets, interrupt_after=interrupt_after)
        return Scaled(await self._come(request), stopped)

    def reserve(self, peer: object, seq: int) -> bool:
        """Add a worker for one job alone, unless others are there to take it.

        It comes when it can, and goes when the job is not to be run (any more), or
        with the connection. Return whether one was added.

        Raises:
            TooManyWorkersError, DrainingError: none was.
        """
        if self.draining:
            raise DrainingError
        if self._expected():
            return False
        self._check_room(1)
        self._desired[Reservation(peer, seq)] = 1
        self._wakeup.wake()
        return True

    def dismiss(self, worker: WorkerHandle) -> None:
        """Let go of a worker whose one job is not there to be run."""
        self._desired.pop(worker.owner, None)
        self._pool.stop(worker)

    async def ensure(self, count: int) -> int:
        """See to it that at least ``count`` workers run; return how many do."""
        if self.draining:
            raise DrainingError
        if self._expected() < count:
            bound = self._expected() - self.wanted
            await self._change_wanted(lambda wanted: max(wanted, count - bound))
        if sum(w.ready and w.only_for is None for w in self._active()) < count:
            await self._ready(None)
        return sum(worker.only_for is None for worker in self._active())

    def release(self, peer: object) -> None:
        """Stop the workers of a connection that is gone, gracefully."""
        gone = [owner for owner in self._desired if _peer(owner) is peer]
        for owner in gone:
            del self._desired[owner]
        if gone:
            for worker in self._pool:
                if _peer(worker.owner) is peer:
                    self._pool.stop(worker)
            self._wakeup.wake()
            # Its request to start them may still wait for them to be ready.
            self._pulse.set()

    async def left(self, owner: object) -> None:
        """Return when no worker is bound to ``owner`` and none will be."""
        while self._desired[owner] or any(w.owner is owner for w in self._pool):
            self._pulse.clear()
            await self._pulse.wait()

    async def stop(
        self,
        *,
        interrupt_after: float | None,
        only: Collection[int] | None = None,
        count: int | None = None,
    ) -> Stopped:
        """Stop workers, all unless told which; return when their processes are gone.

        Running jobs finish first, for at most ``interrupt_after`` seconds if that is
        given; then they are interrupted.

        Args:
            interrupt_after: seconds; None: never.
            only: numbers of workers.
            count: so many that are not bound, the idle ones first.
        """
        if count is not None:
            targets = await self._shrink(lambda wanted: max(0, wanted - count))
        elif only is not None:
            targets = await self._dismiss(only)
        else:
            targets = await self._dismiss_all()
        return await self.retire(targets, interrupt_after=interrupt_after)

    async def present(self) -> list[WorkerHandle]:
        """Return all workers, with those that are just being started."""
        async with self._starting:
            return list(self._pool)

    async def retire(
        self, targets: list[WorkerHandle], *, interrupt_after: float | None
    ) -> Stopped:
        """Stop these workers; interrupt, after a time, those that still run a job."""
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

    # -- desired against running --------------------------------------------------

    async def fill(self) -> float | None:
        """Start what is missing; return the monotonic time to try again, if any."""
        missing = [] if self.draining else self._missing()
        if not missing:
            return None
        if self._clock.monotonic() < self._not_before:
            return self._not_before
        async with self._starting:
            numbers = await self._broker.worker_numbers(len(missing))
            for owner, number in zip(missing, numbers, strict=True):
                # While the numbers were committed, fewer may have become enough.
                enough = self._desired[owner] <= len(self._active(owner))
                if not (enough or self.draining):
                    await self._start(number, owner)
        return self._not_before if self._missing() else None

    def ready(self) -> None:
        """A worker can take jobs."""
        self._failed_starts = 0
        self._problem = None
        self._pulse.set()

    def gone(self, worker: WorkerHandle) -> None:
        """A worker's process has ended; if nobody asked for that, it is replaced."""
        self._requests.died(worker)
        self._pulse.set()
        if worker.stopping or worker.ready:
            return
        self._back_off()
        _events.warning("worker_not_ready", worker=worker.number, pid=worker.pid)

    async def _start(self, number: int, owner: object | None) -> None:
        try:
            worker = await self._pool.start(number, owner)
        except OSError as error:
            self._problem = error
            self._back_off()
            _events.error("worker_not_started", worker=number, error=str(error))
            return
        if self._desired[owner] < len(self._active(owner)):
            # Its owner went while it was started.
            self._pool.stop(worker)
        else:
            self._requests.started(worker)

    def _back_off(self) -> None:
        """A start failed: make the next try later, but once for all of one try."""
        now = self._clock.monotonic()
        if now >= self._not_before:
            delay = min(RESPAWN_MAX, RESPAWN_BASE * 2**self._failed_starts)
            self._failed_starts = min(self._failed_starts + 1, RESPAWN_DOUBLINGS)
            self._not_before = now + delay

    def _missing(self) -> list[object]:
        missing: list[object] = []
        for owner, desired in self._desired.items():
            missing += [owner] * (desired - len(self._active(owner)))
        return missing

    def _expected(self) -> int:
        """Return how many are desired that take any job."""
        return sum(
            count
            for owner, count in self._desired.items()
            if not isinstance(owner, Reservation)
        )

    def _active(self, *owner: object) -> list[WorkerHandle]:
        working = [w for w in self._pool if not w.stopping]
        return [w for w in working if not owner or w.owner is owner[0]]

    async def _change_wanted(self, change: Callable[[int], int]) -> None:
        """Want another number of workers of the pool's own; it is stored first."""
        async with self._changing:
            await self._want(change)

    async def _want(self, change: Callable[[int], int]) -> None:
        """Do that; whoever calls holds ``_changing``."""
        wanted = change(self.wanted)
        self._check_room(wanted - self.wanted)
        await self._broker.set_meta(_WANTED, str(wanted))
        self._desired[None] = wanted
        self._pulse.set()
        self._wakeup.wake()

    # -- fewer --------------------------------------------------------------------
    # Who is to go is chosen, told so and no longer wanted in one turn of the loop:
    # requests in the same instant must not choose the same worker, and count it twice.

    async def _shrink(self, change: Callable[[int], int]) -> list[WorkerHandle]:
        """Want another number; stop and return those who are too many then."""
        async with self._changing:
            await self._want(change)
            async with self._starting:
                own = sorted(self._active(None), key=_hardly_missed)
                targets = own[: max(0, len(own) - self.wanted)]
                self._tell_to_stop(targets)
        return targets

    async def _dismiss(self, numbers: Collection[int]) -> list[WorkerHandle]:
        """Stop and return the workers with these numbers, and want as many less."""
        async with self._changing, self._starting:
            targets = [w for w in self._pool if w.number in numbers]
            going = Counter(w.owner for w in targets if not w.stopping)
            if own := going.pop(None, 0):
                await self._want(lambda wanted: max(0, wanted - own))
            for owner, count in going.items():
                if owner in self._desired:  # else it is gone by now
                    self._desired[owner] -= count
            self._tell_to_stop(targets)
        return targets

    async def _dismiss_all(self) -> list[WorkerHandle]:
        """Stop and return all workers, and want none."""
        async with self._changing:
            await self._want(lambda _: 0)
            self._desired.clear()
            targets = await self.present()
            self._tell_to_stop(targets)
        return targets

    def _tell_to_stop(self, targets: Collection[WorkerHandle]) -> None:
        for worker in targets:
            self._requests.stopped(worker)
            self._pool.stop(worker)
        self._pulse.set()
        self._wakeup.wake()  # one that does not end has a deadline

    def _check_room(self, count: int) -> None:
        if count > 0 and self._desired.total() + count > MAX_WORKERS:
            raise TooManyWorkersError(MAX_WORKERS)

    async def _come(self, request: StartRequest) -> list[WorkerHandle]:
        """Wait for the workers of a request; return those that are there."""
        try:
            await self._ready(request.owner, lambda: request.fulfilled)
        finally:
            self._requests.remove(request)
        return [w for w in request.started if self._pool.workers.get(w.number) is w]

    async def _ready(
        self, owner: object | None, fulfilled: Callable[[], bool] = lambda: False
    ) -> None:
        """Wait until that is so, or every worker that ``owner`` wants is ready."""
        try:
            async with asyncio.timeout(READY_WITHIN):
                while not (fulfilled() or self._complete(owner)):
                    if self.draining:
                        raise DrainingError
                    self._pulse.clear()
                    await self._pulse.wait()
        except TimeoutError:
            problem = self._problem
            if problem is not None and problem.errno in NO_DESCRIPTORS:
                raise problem from None
            why = problem.strerror if problem is not None else None
            raise WorkersNotReadyError(READY_WITHIN, why) from None

    def _complete(self, owner: object | None) -> bool:
        return sum(w.ready for w in self._active(owner)) >= self._desired[owner]


def _hardly_missed(worker: WorkerHandle) -> tuple[bool, bool, bool, int]:
    """Return what orders workers by what is lost with them, the least first."""
    begun = worker.attempt.started_at if worker.attempt is not None else 0
    busy = worker.attempt is not None or worker.claiming
    return (busy, worker.ready, not worker.adopted, -begun)


def _peer(owner: object | None) -> object | None:
    """Return the connection that an owner of workers is, or belongs to."""
    return owner.peer if isinstance(owner, Reservation) else owner


async def _gone(workers: Collection[WorkerHandle], within: float | None) -> bool:
    """Wait until all are gone; return whether they are, ``within`` seconds later."""
    try:
        async with asyncio.timeout(within):
            for worker in workers:
                await worker.gone.wait()
    except TimeoutError:
        return False
    return True
