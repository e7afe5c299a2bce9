"""WeightedSemaphore for heavy work: how much at a time, and in which order."""

import asyncio
from contextlib import AsyncExitStack

from helpers.asynchronous import asynchronous
from queuectld.store.weighted_semaphore import WeightedSemaphore


class Hall:
    """Some tasks that share a semaphore.

    Attributes:
        inside: the weights of those that were admitted, in this order.
    """

    def __init__(self, most: int) -> None:
        self._semaphore = WeightedSemaphore(most)
        self._ends: list[asyncio.Event] = []
        self.inside: list[int] = []

    async def come(self, weight: int) -> None:
        """Wait to be admitted, then to be let out."""
        async with self._semaphore.take(weight):
            over = asyncio.Event()
            self._ends.append(over)
            self.inside.append(weight)
            await over.wait()
            self.inside.remove(weight)

    async def let_out(self) -> None:
        """Let the first one out, and the others notice."""
        self._ends.pop(0).set()
        await settled()


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@asynchronous
async def test_no_more_than_the_weight_goes_in_and_nobody_overtakes() -> None:
    """The light one behind a heavy one waits for it, or the heavy one would starve."""
    hall = Hall(10)
    tasks = [asyncio.create_task(hall.come(weight)) for weight in (4, 5, 7, 1)]
    await settled()
    assert hall.inside == [4, 5]
    await hall.let_out()
    assert hall.inside == [5]
    await hall.let_out()
    assert hall.inside == [7, 1]
    await hall.let_out()
    await hall.let_out()
    await asyncio.gather(*tasks)


@asynchronous
async def test_what_is_heavier_than_all_goes_in_alone() -> None:
    """It cannot be divided, and must not wait for ever."""
    hall = Hall(10)
    tasks = [asyncio.create_task(hall.come(weight)) for weight in (1, 50, 1)]
    await settled()
    assert hall.inside == [1]
    await hall.let_out()
    assert hall.inside == [50]
    await hall.let_out()
    assert hall.inside == [1]
    await hall.let_out()
    await asyncio.gather(*tasks)


@asynchronous
async def test_who_gives_up_waiting_takes_nothing_away() -> None:
    """A cancelled wait holds nothing."""
    semaphore = WeightedSemaphore(10)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(semaphore.take(10))
        gone = asyncio.create_task(semaphore.take(5).__aenter__())
        await settled()
        gone.cancel()
        await settled()
    async with semaphore.take(10):
        pass
