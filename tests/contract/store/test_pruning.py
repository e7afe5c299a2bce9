"""What every store does about forgetting: which jobs may go, and what with them."""

from typing import Any

import pytest

from helpers.asynchronous import asynchronous
from helpers.jobs import NOW, an_end
from helpers.stores import Home, add, assert_counted, end, everything, look, put
from queuectl_protocol.vocabulary import JobState
from queuectld.core.job import Job
from queuectld.store.api import Store

FINAL = (JobState.COMPLETED, JobState.CANCELLED, JobState.DEAD)
LATE = NOW + 10**9


async def prunable(
    store: Store, before: int, *states: JobState, limit: int = 1000
) -> list[int]:
    found = await store.read(lambda r: r.prunable(states or FINAL, before, limit))
    return [job.seq for job in found]


async def delete(store: Store, *jobs: Job) -> int:
    return len(await store.write(lambda tx: tx.delete(jobs)))


@asynchronous
async def test_only_finished_jobs_may_go(home: Home) -> None:
    """None that waits or runs, also if it has an end from an earlier run."""
    async with home.open() as store:
        await add(store)
        await add(store, run_at=NOW + 1)
        again = await end(store, await add(store))
        await put(store, again, state=JobState.PENDING, due=True)
        failed = await add(store)
        await put(store, failed, state=JobState.FAILED, finished_at=NOW, due=False)
        running = await add(store)
        await put(store, running, state=JobState.PROCESSING, lease=3, due=None)
        done = [await end(store, await add(store), state) for state in FINAL]
        assert await prunable(store, LATE) == [job.seq for job in done]
        assert await prunable(store, LATE, JobState.PENDING) == []


@asynchronous
async def test_only_the_states_asked_for(home: Home) -> None:
    """Dead jobs stay when completed and cancelled ones are asked for."""
    async with home.open() as store:
        for state in FINAL:
            await end(store, await add(store), state)
        assert await prunable(store, LATE, JobState.DEAD) == [3]
        assert await prunable(store, LATE, *FINAL[:2]) == [1, 2]


@asynchronous
async def test_only_what_finished_before_the_time(home: Home) -> None:
    """The time itself is not before."""
    async with home.open() as store:
        for at in (NOW - 1, NOW, NOW + 1):
            await end(store, await add(store), at=at)
        assert await prunable(store, NOW - 1) == []
        assert await prunable(store, NOW) == [1]
        assert await prunable(store, NOW + 1) == [1, 2]


@asynchronous
async def test_the_first_to_finish_go_first(home: Home) -> None:
    """By their end and not by their age, over all states together."""
    async with home.open() as store:
        for index, at in enumerate((50, 10, 40, 20, 30, 60)):
            await end(store, await add(store), FINAL[index % 3], at=NOW + at)
        assert await prunable(store, LATE) == [2, 4, 5, 3, 1, 6]
        assert await prunable(store, LATE, limit=3) == [2, 4, 5]
        assert await prunable(store, NOW + 31, limit=2) == [2, 4]


@asynchronous
async def test_a_deleted_job_is_gone_with_its_attempts(home: Home) -> None:
    """From every listing and count; others keep theirs."""
    async with home.open() as store:
        gone, kept = await add(store, id="gone"), await add(store)
        await store.write(lambda tx: tx.insert_attempt(gone, an_end()))
        await store.write(lambda tx: tx.insert_attempt(kept, an_end()))
        assert await delete(store, await end(store, gone)) == 1
        assert await look(store, gone) is None
        assert await store.read(lambda reader: reader.job("gone")) is None
        assert await store.read(lambda reader: reader.attempts(gone.seq)) == []
        assert len(await store.read(lambda reader: reader.attempts(kept.seq))) == 1
        assert await everything(store) == [kept]
        assert await prunable(store, LATE) == []
        await assert_counted(store)


@asynchronous
async def test_deleting_counts_what_went(home: Home) -> None:
    """A job that is gone already does not count again."""
    async with home.open() as store:
        jobs = [await end(store, await add(store)) for _ in range(3)]
        assert await delete(store) == 0
        assert await delete(store, jobs[0]) == 1
        assert await delete(store, *jobs) == 2
        assert await delete(store, *jobs) == 0
        await assert_counted(store)


@pytest.mark.parametrize(
    "meanwhile",
    [
        [{"state": JobState.PENDING, "due": True, "updated_at": NOW + 1}],
        [{"state": JobState.PROCESSING, "lease": 9, "runs": 2, "due": None}],
        [
            {"state": JobState.PENDING, "due": True, "updated_at": NOW + 1},
            {"state": JobState.COMPLETED, "due": None, "updated_at": NOW + 2},
        ],
    ],
    ids=["retried", "running", "retried and finished again"],
)
@asynchronous
async def test_a_job_that_changed_is_not_deleted(
    home: Home, meanwhile: list[dict[str, Any]]
) -> None:
    """Between the choice and the deletion somebody may have wanted it again."""
    async with home.open() as store:
        chosen = await end(store, await add(store, id="wanted"))
        other = await end(store, await add(store))
        await store.write(lambda tx: tx.insert_attempt(chosen, an_end()))
        now = chosen
        for changes in meanwhile:
            now = await put(store, now, **changes)
        assert await delete(store, chosen, other) == 1
        assert await everything(store) == [now]
        assert len(await store.read(lambda reader: reader.attempts(now.seq))) == 1
        await assert_counted(store)
