"""What every store does with measures: adds them up, keeps them, thins them out."""

import asyncio
from functools import partial

import pytest

from helpers.asynchronous import asynchronous
from helpers.jobs import NOW
from helpers.stores import Home, add, end
from queuectld.core import histogram
from queuectld.store.api import Histogram, Store, Transaction

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
START = NOW - NOW % HOUR
"""A full hour: statistics are kept per minute and later per hour."""


Measure = tuple[str, int] | tuple[str, int, int]


async def measure(store: Store, *measures: Measure) -> None:
    def work(tx: Transaction) -> None:
        for each in measures:
            tx.measure(*each)

    await store.write(work)


async def rollup(store: Store, since: int = 0) -> dict[str, Histogram]:
    return await store.read(lambda reader: reader.rollup(since))


def spread(*durations: int) -> Histogram:
    """Return the histogram that these durations make."""
    buckets = [histogram.bucket(ms) for ms in durations]
    counts = {bucket: buckets.count(bucket) for bucket in buckets}
    return Histogram(counts, sum(durations))


@asynchronous
async def test_statistics_can_be_read_in_parts_of_whole_hours(home: Home) -> None:
    """Whatever the size of a part, they add up to the same."""
    async with home.open() as store:
        times = [START + minutes * MINUTE for minutes in (0, 1, 59, 60, 130, 300)]
        await measure(store, *(("run", at, at % 7) for at in times))

        async def part(begin: int) -> tuple[int, int | None]:
            end = await store.read(lambda reader: reader.rollup_end(begin, 1))
            found = await store.read(lambda reader: reader.rollup(begin, end))
            return found["run"].count, end

        assert await part(0) == (3, START + HOUR)
        assert await part(START + HOUR) == (2, START + 3 * HOUR)
        assert await part(START + 3 * HOUR) == (1, None)


@asynchronous
async def test_nothing_measured_is_nothing(home: Home) -> None:
    """An empty store has no metrics rather than zeros of all."""
    async with home.open() as store:
        assert await rollup(store) == {}


@asynchronous
async def test_measures_are_added_up(home: Home) -> None:
    """Events count in bucket 0, durations in theirs, each metric by itself."""
    async with home.open() as store:
        await measure(store, ("completed", NOW), ("run", NOW, 1500))
        await measure(store, ("completed", NOW + 5), ("run", NOW, 20))
        await measure(store, ("lost", NOW), ("wait", NOW, 0))
        expected = {
            "completed": Histogram({0: 2}, 0),
            "run": spread(1500, 20),
            "lost": Histogram({0: 1}, 0),
            "wait": spread(0),
        }
        assert await rollup(store) == expected
        assert (await rollup(store))["run"].count == 2
    async with home.open() as store:
        assert await rollup(store) == expected


@asynchronous
async def test_statistics_begin_with_a_minute(home: Home) -> None:
    """The whole minute that the time asked for is in."""
    async with home.open() as store:
        for at in (START, START + MINUTE - 1, START + MINUTE, START + 5 * MINUTE):
            await measure(store, ("completed", at))

        async def count(since: int) -> int:
            found = (await rollup(store, since)).get("completed")
            return 0 if found is None else found.count

        assert await count(START) == await count(START + MINUTE - 1) == 4
        assert await count(START + MINUTE) == 2
        assert await count(START + 5 * MINUTE + 30_000) == 1
        assert await count(START + 6 * MINUTE) == 0


@asynchronous
async def test_units_that_failed_are_not_in_the_statistics(home: Home) -> None:
    """Nor do they spoil what others measured at the same time."""

    def work(tx: Transaction, index: int) -> None:
        tx.measure("completed", NOW)
        tx.measure("run", NOW, 100)
        if index % 2:
            raise ZeroDivisionError

    async with home.open() as store:
        await asyncio.gather(
            *(store.write(partial(work, index=i)) for i in range(20)),
            return_exceptions=True,
        )
        found = await rollup(store)
        assert found == {
            "completed": Histogram({0: 10}, 0),
            "run": spread(*[100] * 10),
        }


@asynchronous
async def test_statistics_outlive_their_jobs(home: Home) -> None:
    """Deleting jobs takes nothing away from what happened."""
    async with home.open() as store:
        job = await end(store, await add(store))
        await measure(store, ("completed", NOW))
        await store.write(lambda tx: tx.delete([job]))
        assert (await rollup(store))["completed"].count == 1


async def thin(store: Store, now: int, hours: int = 24) -> int:
    """Thin until nothing is left to thin; return how many steps there were more."""
    steps = 0
    while await store.write(lambda tx: tx.thin_statistics(now, hours)):
        steps += 1
        assert steps < 1000
    return steps


@asynchronous
async def test_thinning_keeps_the_sums(home: Home) -> None:
    """What happened in an hour stays what happened in that hour."""
    durations = [3, 70, 900, 70, 12_000]
    async with home.open() as store:
        for hour in range(3):
            for index, ms in enumerate(durations):
                at = START + hour * HOUR + index * 13 * MINUTE
                await measure(store, ("run", at, ms), ("completed", at + 59_000))
        before = [await rollup(store, START + hour * HOUR) for hour in range(4)]
        assert before[0]["run"] == spread(*durations * 3)
        for _ in range(2):
            await thin(store, START + 30 * DAY)
            after = [await rollup(store, START + hour * HOUR) for hour in range(4)]
            assert after == before


@asynchronous
async def test_thinning_is_done_in_bounded_steps(home: Home) -> None:
    """A year that nobody thinned does not hold up the queue."""
    async with home.open() as store:
        for hour in range(10):
            at = START + hour * HOUR
            await measure(store, ("completed", at), ("completed", at + 1))
        assert await thin(store, START + 30 * DAY, hours=3) >= 3
        assert await thin(store, START + 30 * DAY, hours=3) == 0
        assert (await rollup(store))["completed"].count == 20


@asynchronous
async def test_recent_statistics_are_left_by_the_minute(home: Home) -> None:
    """What somebody may look at closely is not merged yet."""
    now = START + 40 * MINUTE
    async with home.open() as store:
        for minute in (0, 10, 20, 30):
            await measure(store, ("completed", START + minute * MINUTE))
        await thin(store, now)
        late = await rollup(store, START + 15 * MINUTE)
        assert late["completed"].count == 2


@asynchronous
async def test_what_comes_late_for_a_thinned_hour_is_kept(home: Home) -> None:
    """A clock that was set back loses nothing."""
    async with home.open() as store:
        await measure(store, ("completed", START + MINUTE))
        await thin(store, START + 30 * DAY)
        await measure(store, ("completed", START + 2 * MINUTE))
        await thin(store, START + 30 * DAY)
        assert (await rollup(store))["completed"].count == 2


@pytest.mark.parametrize("ms", [0, 1, 86_400_000, 10**12])
@asynchronous
async def test_durations_of_any_size(home: Home, ms: int) -> None:
    """From less than a millisecond to thirty years."""
    async with home.open() as store:
        await measure(store, ("run", NOW, ms))
        assert await rollup(store) == {"run": spread(ms)}
