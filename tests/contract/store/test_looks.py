"""What every store tells of jobs that wait, to those who wait for them or watch."""

import pytest

from helpers.asynchronous import asynchronous
from helpers.jobs import NOW
from helpers.stores import Home, add, put
from queuectl_protocol.vocabulary import JobState
from queuectld.store.api import Store
from queuectld.store.sqlite import reader


async def oldest(store: Store) -> int | None:
    return await store.read(lambda reader: reader.oldest_ready())


@asynchronous
async def test_a_job_has_its_betters_and_its_elders_ahead(home: Home) -> None:
    """Higher priorities, and of its own those that came before; no more than asked."""
    async with home.open() as store:
        jobs = [await add(store, priority=number) for number in (0, 5, 0, -1, 0)]
        later = await add(store, priority=9, run_at=NOW + 1000)
        running = await add(store, priority=9)
        await put(store, running, state=JobState.PROCESSING, lease=1, due=None)

        async def ahead(index: int, limit: int = 100) -> int:
            job = jobs[index]
            return await store.read(lambda reader: reader.ahead(job, limit))

        assert [await ahead(index) for index in range(5)] == [1, 0, 2, 4, 3]
        assert await ahead(3, 2) == 2
        assert later.due is False


@asynchronous
async def test_the_oldest_ready_job_is_told_by_when_it_could_run(home: Home) -> None:
    """Since it was enqueued, or since its time came; jobs for later do not count."""
    async with home.open() as store:
        assert await oldest(store) is None
        await add(store, run_at=NOW + 5)
        assert await oldest(store) is None
        young = await add(store, now=NOW - 10, priority=3)
        assert await oldest(store) == young.created_at
        retried = await add(store, now=NOW - 500, run_at=NOW - 20)
        await store.write(lambda tx: tx.promote(NOW, 10))
        assert await oldest(store) == retried.run_at
        old = await add(store, now=NOW - 100, priority=-7)
        assert await oldest(store) == old.created_at


@asynchronous
async def test_an_old_job_behind_many_is_not_searched_for(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a million priorities only the first are looked at."""
    monkeypatch.setattr(reader, "PRIORITIES_SEEN", 2)
    monkeypatch.setattr(reader, "NEXT_SEEN", 1)
    async with home.open() as store:
        for priority in (3, 2, 1):
            await add(store, now=NOW + priority, priority=priority)
        assert await oldest(store) == NOW + 2


@asynchronous
async def test_what_happened_is_counted_from_a_minute_on(home: Home) -> None:
    """One thing, however it is spread."""
    async with home.open() as store:
        hour = 3_600_000
        moments = [NOW - 2 * hour, NOW - hour // 2, NOW, NOW]
        for at in moments:
            await store.write(lambda tx, at=at: tx.measure("dead", at))
            await store.write(lambda tx, at=at: tx.measure("wait", at, 5))
        counted = await store.read(
            lambda reader: [
                reader.happened(metric, since)
                for metric in ("dead", "lost")
                for since in (0, NOW - hour, NOW + hour)
            ]
        )
        assert counted == [4, 3, 0, 0, 0, 0]
