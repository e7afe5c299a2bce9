"""What every store does with the numbers that only grow: leases and workers."""

import asyncio
from collections.abc import Callable

import pytest

from helpers.asynchronous import asynchronous
from helpers.stores import Home
from queuectld.store.api import Transaction

Next = Callable[[Transaction], int]
NUMBERS: dict[str, Next] = {
    "lease": lambda tx: tx.next_lease(),
    "worker": lambda tx: tx.next_worker(),
}


class FailedError(Exception):
    """A unit of work's own error."""


@pytest.fixture(params=NUMBERS)
def take(request: pytest.FixtureRequest) -> Next:
    """Take the next number, of either kind."""
    return NUMBERS[request.param]


@asynchronous
async def test_numbers_grow_within_a_unit_and_over_units(
    home: Home, take: Next
) -> None:
    """No number comes twice, and a later one is greater."""
    async with home.open() as store:
        taken = await store.write(lambda tx: [take(tx), take(tx)])
        taken.append(await store.write(take))
    assert taken == sorted(set(taken))
    assert taken[0] > 0


@asynchronous
async def test_numbers_grow_over_reopening(home: Home, take: Next) -> None:
    """What was given out before the store was closed is never given out again."""
    last = 0
    for _ in range(3):
        async with home.open() as store:
            for _ in range(3):
                number = await store.write(take)
                assert number > last
                last = number


@asynchronous
async def test_a_failed_unit_gives_no_number_back(home: Home, take: Next) -> None:
    """Somebody may have seen it: it is skipped, also by the next opening."""
    seen: list[int] = []

    def fail(tx: Transaction) -> None:
        seen.append(take(tx))
        raise FailedError

    async with home.open() as store:
        with pytest.raises(FailedError):
            await store.write(fail)
        seen.append(await store.write(take))
        with pytest.raises(FailedError):
            await store.write(fail)
    async with home.open() as store:
        seen.append(await store.write(take))
    assert seen == sorted(set(seen))


@asynchronous
async def test_the_two_kinds_do_not_use_up_each_other(home: Home) -> None:
    """Worker numbers stay small for people, however many leases there were."""
    async with home.open() as store:
        await store.write(lambda tx: [tx.next_lease() for _ in range(100)])
        assert await store.write(lambda tx: tx.next_worker()) == 1


@asynchronous
async def test_units_at_the_same_time_get_different_numbers(
    home: Home, take: Next
) -> None:
    """A fencing token belongs to one attempt."""
    async with home.open() as store:
        taken = await asyncio.gather(*(store.write(take) for _ in range(200)))
    assert len(set(taken)) == 200
