"""A semaphore for heavy units of work, so that light ones need not wait for all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class WeightedSemaphore:
    """Admits units up to a total weight at a time, first come, first served.

    A unit that weighs more than the total is admitted alone.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._free = most
        self._first = asyncio.Lock()
        self._released = asyncio.Event()

    @asynccontextmanager
    async def take(self, weight: int) -> AsyncIterator[None]:
        """Wait until this weight is free; hold it as long as the context lasts."""
        weight = min(weight, self._most)
        # The lock's queue is the order: a light unit does not overtake a heavy one.
        async with self._first:
            while self._free < weight:
                self._released.clear()
                await self._released.wait()
            self._free -= weight
        try:
            yield
        finally:
            self._free += weight
            self._released.set()
