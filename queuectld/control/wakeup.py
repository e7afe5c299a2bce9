"""The one wait of the daemon, shared by all parts that make something due.

The scheduler waits here. The other parts hold the same object and call ``wake`` when
something is due now, or ``wake_by`` when something is due at a known time.
"""

import asyncio
import math

from queuectld.clock import Clock


class WakeUp:
    """A wait for the next due thing that any part can end early."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._awake = asyncio.Event()
        self._waits_until = math.inf  # also while nothing waits

    def wake(self) -> None:
        """End the wait: something may be due. If nothing waits, the next wait ends."""
        self._awake.set()

    def wake_by(self, at: float) -> None:
        """End the wait if it would last beyond this monotonic time."""
        # Most runs end long before their deadline, and between two writes there is
        # always something that is due sooner.
        if at < self._waits_until:
            self._awake.set()

    async def wait(self, until: float | None) -> None:
        """Wait for ``wake``, until that monotonic time at the latest; None: for ever.

        A ``wake`` after the return counts for the next wait.
        """
        timeout = None if until is None else max(0.0, until - self._clock.monotonic())
        try:
            async with asyncio.timeout(timeout):
                self._waits_until = math.inf if until is None else until
                await self._awake.wait()
        except TimeoutError:
            pass
        finally:
            self._waits_until = math.inf
            self._awake.clear()
