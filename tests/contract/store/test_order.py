"""What every store does about order: which job is next, and who waits for a time."""

import random
from functools import partial

import pytest

from helpers.asynchronous import asynchronous
from helpers.jobs import NOW
from helpers.stores import Home, add, assert_counted, end, look, put
from queuectl_protocol.vocabulary import JobState
from queuectld.core.job import Job
from queuectld.store.api import Reader, Store


async def ready(store: Store, limit: int = 1000) -> list[int]:
    """Return the numbers of the jobs to be claimed next."""
    return await store.write(lambda tx: [job.seq for job in tx.ready(limit)])


async def promote(store: Store, now: int, limit: int = 1000) -> int:
    return await store.write(lambda tx: tx.promote(now, limit))


async def next_run_at(store: Store) -> int | None:
    return await store.read(lambda reader: reader.next_run_at())


@asynchronous
async def test_equals_are_first_in_first_out(home: Home) -> None:
    """Jobs of one priority are claimed as they came."""
    async with home.open() as store:
        jobs = [await add(store) for _ in range(12)]
        assert await ready(store) == [job.seq for job in jobs]
        assert await ready(store, 5) == [job.seq for job in jobs[:5]]


@asynchronous
async def test_priority_comes_before_age(home: Home) -> None:
    """Higher first, negative ones last, equals by age."""
    numbers = [0, 5, -3, 5, 1_000_000, 0, -1_000_000, 7, -3]
    async with home.open() as store:
        jobs = [await add(store, priority=number) for number in numbers]
        expected = sorted(jobs, key=lambda job: (-job.priority, job.seq))
        assert await ready(store) == [job.seq for job in expected]
        assert await ready(store, 1) == [expected[0].seq]


@asynchronous
async def test_only_due_jobs_are_ready(home: Home) -> None:
    """Not the future ones, not the running ones, not the finished ones."""
    async with home.open() as store:
        await add(store, run_at=NOW + 1, priority=9)
        running = await add(store, priority=9)
        await put(store, running, state=JobState.PROCESSING, lease=1, due=None)
        await end(store, await add(store, priority=9))
        due = [await add(store), await add(store, run_at=NOW - 1), await add(store)]
        assert await ready(store) == [job.seq for job in due]


@asynchronous
async def test_a_job_that_waits_again_has_its_old_place(home: Home) -> None:
    """A retry goes by the age of the job, not by when it failed."""
    async with home.open() as store:
        first, second = await add(store), await add(store)
        running = await put(store, first, state=JobState.PROCESSING, lease=1, due=None)
        assert await ready(store) == [second.seq]
        await put(store, running, state=JobState.FAILED, lease=None, due=True)
        assert await ready(store) == [first.seq, second.seq]


@asynchronous
async def test_a_jobs_time_comes_when_it_is_promoted(home: Home) -> None:
    """At its ``run_at``, not a millisecond earlier, and then by priority."""
    async with home.open() as store:
        now = await add(store)
        later = await add(store, run_at=NOW + 1000, priority=1)
        assert later.due is False
        assert await promote(store, NOW + 999) == 0
        assert await ready(store) == [now.seq]
        assert await promote(store, NOW + 1000) == 1
        assert await ready(store) == [later.seq, now.seq]
        promoted = await look(store, later)
        assert promoted is not None
        assert (promoted.due, promoted.run_at) == (True, NOW + 1000)
        assert await promote(store, NOW + 5000) == 0


@asynchronous
async def test_promotion_is_bounded_and_the_longest_waiting_first(home: Home) -> None:
    """A million jobs whose time came together do not hold up everybody else."""
    waits = list(range(1, 11))
    random.Random(7).shuffle(waits)
    async with home.open() as store:
        jobs = [await add(store, run_at=NOW + wait) for wait in waits]
        by_time = [job.seq for job in sorted(jobs, key=lambda job: job.run_at or 0)]
        moved = []
        for expected in (4, 4, 1, 0):
            assert await promote(store, NOW + 9, limit=4) == expected
            moved.append(set(await ready(store)))
        assert moved[0] == set(by_time[:4])
        assert moved[1] == set(by_time[:8])
        assert moved[2] == moved[3] == set(by_time[:9])


@asynchronous
async def test_the_next_time_is_the_earliest_that_is_waited_for(home: Home) -> None:
    """Of waiting jobs alone; a unit of work sees it change."""
    async with home.open() as store:
        assert await next_run_at(store) is None
        await add(store)
        await add(store, run_at=NOW - 5)
        assert await next_run_at(store) is None
        later = await add(store, run_at=NOW + 9000)
        sooner = await add(store, run_at=NOW + 5000)
        assert await next_run_at(store) == NOW + 5000
        await end(store, sooner, JobState.CANCELLED)
        assert await next_run_at(store) == NOW + 9000
        left = await store.write(
            lambda tx: (tx.promote(NOW + 9000, 10), tx.next_run_at())
        )
        assert left == (1, None)
        assert await next_run_at(store) is None
        assert (await ready(store))[-1] == later.seq


@asynchronous
async def test_order_outlives_reopening(home: Home) -> None:
    """A restart changes nothing about who is next."""
    async with home.open() as store:
        low, high = await add(store), await add(store, priority=1)
        await add(store, run_at=NOW + 10)
    async with home.open() as store:
        assert await ready(store) == [high.seq, low.seq]
        assert await next_run_at(store) == NOW + 10


@pytest.mark.parametrize("seed", range(3))
@asynchronous
async def test_claims_take_jobs_in_the_order_of_a_sorted_list(
    home: Home, seed: int
) -> None:
    """However inserts, claims and promotions alternate."""
    dice = random.Random(seed)
    waiting: dict[int, tuple[int, int]] = {}
    future: dict[int, tuple[int, int, int]] = {}
    now = NOW
    async with home.open() as store:
        for _ in range(60):
            now += dice.randrange(3)
            run_at = dice.choice([None, None, now + dice.randrange(1, 20)])
            job = await add(store, now, priority=dice.randrange(-2, 3), run_at=run_at)
            if run_at is None:
                waiting[job.seq] = (-job.priority, job.seq)
            else:
                future[job.seq] = (run_at, -job.priority, job.seq)
            if dice.random() < 0.3:
                await promote(store, now)
                for seq in [seq for seq, key in future.items() if key[0] <= now]:
                    waiting[seq] = future.pop(seq)[1:]
            if dice.random() < 0.4:
                expected = sorted(waiting, key=waiting.__getitem__)[:2]
                found = await store.write(lambda tx: tx.ready(2))
                assert [job.seq for job in found] == expected
                for job in found:
                    await put(store, job, state=JobState.PROCESSING, due=None, lease=1)
                    del waiting[job.seq]


@asynchronous
async def test_delayed_jobs_are_counted_wherever_they_go(home: Home) -> None:
    """Into the queue, by their time, by a change of state, and out of it."""
    async with home.open() as store:
        later = [await add(store, run_at=NOW + n) for n in range(1, 6)]
        await assert_counted(store)
        assert await promote(store, NOW + 2) == 2
        await assert_counted(store)
        await put(store, later[4], state=JobState.CANCELLED, due=None)
        await assert_counted(store)
        # Read before its time came, and gone after it did.
        for stale in (later[0], later[3]):
            gone = await store.write(lambda tx: tx.delete([stale]))  # noqa: B023
            assert gone == [stale]
            await assert_counted(store)
        assert await store.read(lambda reader: reader.delayed()) == 1
    async with home.open() as store:
        await assert_counted(store)


@asynchronous
async def test_waiting_jobs_are_found_when_they_expire(home: Home) -> None:
    """The first to expire first, a few at a time, ready or not; no others."""
    async with home.open() as store:
        await add(store)
        later = await add(store, expires=NOW + 9)
        delayed = await add(store, expires=NOW + 3, run_at=NOW + 1)
        ready_one = await add(store, expires=NOW + 2)
        running = await add(store, expires=NOW + 1)
        await put(store, running, state=JobState.PROCESSING, lease=1, due=None)
        await end(store, await add(store, expires=NOW + 1))
        for now, limit, found in [
            (NOW + 1, 9, []),
            (NOW + 2, 9, [ready_one]),
            (NOW + 3, 9, [ready_one, delayed]),
            (NOW + 3, 1, [ready_one]),
            (NOW + 9, 9, [ready_one, delayed, later]),
        ]:
            assert await store.read(partial(_expired, now=now, limit=limit)) == found
        assert await store.read(lambda reader: reader.next_expiry()) == NOW + 2
        for job in (ready_one, delayed, later):
            await end(store, job)
        assert await store.read(lambda reader: reader.next_expiry()) is None


def _expired(reader: Reader, now: int, limit: int) -> list[Job]:
    return reader.expired(now, limit)
