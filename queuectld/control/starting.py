"""Starts the workers that are missing, and waits longer after each failure.

The scheduler calls ``fill`` in each tick, and reports which workers became ready and
which are gone.
"""

import asyncio

from queuectld.broker import Broker
from queuectld.clock import Clock
from queuectld.control.desired import DesiredWorkers, active
from queuectld.control.waiting import WaitingRequests
from queuectld.host import logs
from queuectld.operations import upkeep
from queuectld.workers.daemon_side.handle import WorkerHandle
from queuectld.workers.daemon_side.pool import Pool

_events = logs.get("workers")

RESPAWN_BASE, RESPAWN_MAX, RESPAWN_DOUBLINGS = 0.1, 30.0, 10
"""Seconds to the next try if workers die before they are ready, doubled each time."""


class WorkerStarter:
    """Starts workers until as many are active as are desired.

    Attributes:
        lock: held while workers are started: one may exist that the pool does not have
            yet.
        problem: why the last start failed; None: it did not fail, or a worker has
            become ready since.
    """

    def __init__(
        self,
        broker: Broker,
        pool: Pool,
        desired: DesiredWorkers,
        waiting: WaitingRequests,
        clock: Clock,
    ) -> None:
        self._broker = broker
        self._pool = pool
        self._desired = desired
        self._waiting = waiting
        self._clock = clock
        self._failures = 0
        self._not_before = 0.0
        self.lock = asyncio.Lock()
        self.problem: OSError | None = None

    async def fill(self) -> float | None:
        """Start what is missing; return the monotonic time to try again, if any.

        Raises:
            StoreError: none was started.
        """
        missing = [] if self._desired.draining else self._missing()
        if not missing:
            return None
        if self._clock.monotonic() < self._not_before:
            return self._not_before
        async with self.lock:
            numbers = await self._broker.run(
                lambda tx: upkeep.number_workers(tx, len(missing))
            )
            for owner, number in zip(missing, numbers, strict=True):
                # While the numbers were committed, fewer may have become enough.
                enough = self._desired.of(owner) <= len(active(self._pool, owner))
                if not (enough or self._desired.draining):
                    await self._start(number, owner)
        return self._not_before if self._missing() else None

    def ready(self) -> None:
        """A worker can take jobs."""
        self._failures = 0
        self.problem = None
        self._waiting.changed()

    def gone(self, worker: WorkerHandle) -> None:
        """A worker's process has ended; unless it was stopped, it is replaced."""
        self._waiting.died(worker)
        if worker.stopping or worker.ready:
            return
        self._back_off()
        _events.warning("worker_not_ready", worker=worker.number, pid=worker.pid)

    async def _start(self, number: int, owner: object | None) -> None:
        try:
            worker = await self._pool.start(number, owner)
        except OSError as error:
            self.problem = error
            self._back_off()
            _events.error("worker_not_started", worker=number, error=str(error))
            return
        if self._desired.of(owner) < len(active(self._pool, owner)):
            # Its owner ended while it was started.
            self._pool.stop(worker)
        else:
            self._waiting.started(worker)

    def _back_off(self) -> None:
        """A start failed: delay the next try, once for all failures of one try."""
        now = self._clock.monotonic()
        if now >= self._not_before:
            delay = min(RESPAWN_MAX, RESPAWN_BASE * 2**self._failures)
            self._failures = min(self._failures + 1, RESPAWN_DOUBLINGS)
            self._not_before = now + delay

    def _missing(self) -> list[object]:
        """Return the owner of each worker that is desired and not there."""
        missing: list[object] = []
        for owner, desired in self._desired.items():
            missing += [owner] * (desired - len(active(self._pool, owner)))
        return missing
