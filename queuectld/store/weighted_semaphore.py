"""Turns for heavy units of work, so that light ones need not wait for all of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class WeightedSemaphore:
    """Lets a bounded weight through at a time, first come, first served.

    What weighs more than that goes through alone.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._free = most
        self._next = asyncio.Lock()
        self._returned = asyncio.Event()

    @asynccontextmanager
    async def take(self, weight: int) -> AsyncIterator[None]:
        """Wait for a turn; it lasts as long as the context."""
        weight = min(weight, self._most)
        # The lock's queue is the order: nobody overtakes who waits for much.
        async with self._next:
            while self._free < weight:
                self._returned.clear()
                await self._returned.wait()
            self._free -= weight
        try:
            yield
        finally:
            self._free += weight
            self._returned.set()
