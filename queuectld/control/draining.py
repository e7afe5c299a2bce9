"""The end of the work when the daemon stops: jobs finish, or are interrupted."""

import asyncio

from queuectl_protocol.vocabulary import Reason
from queuectld.broker import Broker
from queuectld.control.desired import DesiredWorkers
from queuectld.control.supervisor import Supervisor
from queuectld.control.wakeup import WakeUp
from queuectld.host import logs
from queuectld.workers.daemon_side.pool import Pool

_events = logs.get("scheduler")

DRAIN_SPARE = 5.0
"""Seconds beyond the graces after which a drain gives up on what is stuck."""


class Drain:
    """Ends all workers of a daemon that stops."""

    def __init__(
        self,
        broker: Broker,
        pool: Pool,
        desired: DesiredWorkers,
        supervisor: Supervisor,
        wakeup: WakeUp,
    ) -> None:
        self._broker = broker
        self._pool = pool
        self._desired = desired
        self._supervisor = supervisor
        self._wakeup = wakeup
        self._hurry = asyncio.Event()

    def within(self, grace: float) -> float:
        """Return how many seconds ``run`` takes at most."""
        return grace + self._broker.settings.kill_grace + DRAIN_SPARE

    async def run(self, grace: float) -> None:
        """Claim nothing more; after ``grace`` seconds, interrupt what still runs.

        Bounded: what cannot be ended or recorded in time is left to the next daemon.
        """
        self._desired.drain()
        retiring = asyncio.create_task(
            self._supervisor.retire_all(interrupt_after=grace)
        )
        hurrying = asyncio.create_task(self._hurry.wait())
        await asyncio.wait(
            [retiring, hurrying],
            timeout=self.within(grace),
            return_when="FIRST_COMPLETED",
        )
        await asyncio.wait([retiring], timeout=DRAIN_SPARE if hurrying.done() else 0)
        hurrying.cancel()
        if retiring.done():
            retiring.result()
            return
        retiring.cancel()
        _events.warning("drain_gave_up", workers=len(self._pool.workers))

    def end_now(self) -> None:
        """Kill what still runs; each run counts as interrupted."""
        for worker in self._pool:
            self._pool.end_attempt(worker, Reason.INTERRUPTED, 0)
        self._hurry.set()
        self._wakeup.wake()
