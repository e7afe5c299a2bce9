"""What every store does for listings: pages, jobs of one state, those that run."""

import pytest

from helpers.asynchronous import asynchronous
from helpers.stores import Home, add, end, put
from queuectl_protocol.vocabulary import JobState
from queuectld.core.job import Job
from queuectld.store.api import Page, Store


async def page(store: Store, before: int | None, limit: int, *states: JobState) -> Page:
    which = states or None
    return await store.read(lambda reader: reader.page(which, before, limit))


async def all_pages(store: Store, limit: int, *states: JobState) -> list[list[int]]:
    """Return the numbers of the jobs on each page, until the last."""
    pages, before = [], None
    while True:
        found = await page(store, before, limit, *states)
        pages.append([job.seq for job in found.jobs])
        if found.cursor is None:
            return pages
        before = found.cursor


@asynchronous
async def test_an_empty_store_has_one_empty_page(home: Home) -> None:
    """Nothing, and nothing after it."""
    async with home.open() as store:
        assert await page(store, None, 10) == Page([], None)
        assert await page(store, None, 10, JobState.DEAD) == Page([], None)


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (3, [[7, 6, 5], [4, 3, 2], [1]]),
        (7, [[7, 6, 5, 4, 3, 2, 1]]),
        (6, [[7, 6, 5, 4, 3, 2], [1]]),
        (1, [[7], [6], [5], [4], [3], [2], [1]]),
        (1000, [[7, 6, 5, 4, 3, 2, 1]]),
    ],
)
@asynchronous
async def test_pages_go_from_the_newest_to_the_oldest(
    home: Home, limit: int, expected: list[list[int]]
) -> None:
    """Each job is on one page, and no empty page comes at the end."""
    async with home.open() as store:
        for _ in range(7):
            await add(store)
        assert await all_pages(store, limit) == expected


@asynchronous
async def test_a_listing_of_one_state_has_no_other(home: Home) -> None:
    """With pages of their own, full though others stand between."""
    async with home.open() as store:
        jobs = [await add(store) for _ in range(9)]
        for job in jobs[::2]:
            await end(store, job, JobState.DEAD)
        assert await all_pages(store, 2, JobState.DEAD) == [[9, 7], [5, 3], [1]]
        assert await all_pages(store, 2, JobState.PENDING) == [[8, 6], [4, 2]]
        assert await all_pages(store, 2, JobState.FAILED) == [[]]


@asynchronous
async def test_a_listing_of_several_states_is_one(home: Home) -> None:
    """Newest first, whatever the states; each job once, on full pages."""
    async with home.open() as store:
        jobs = [await add(store) for _ in range(9)]
        for job in jobs[::2]:
            await end(store, job, JobState.DEAD)
        for job in jobs[1:4:2]:
            await end(store, job, JobState.COMPLETED)
        two = (JobState.DEAD, JobState.PENDING)
        assert await all_pages(store, 2, *two) == [[9, 8], [7, 6], [5, 3], [1]]
        assert await all_pages(store, 3, *two, *two) == [[9, 8, 7], [6, 5, 3], [1]]
        assert await all_pages(store, 7, *two) == [[9, 8, 7, 6, 5, 3, 1]]
        assert await all_pages(store, 4, *JobState) == [[9, 8, 7, 6], [5, 4, 3, 2], [1]]
        none = (JobState.FAILED, JobState.CANCELLED)
        assert await all_pages(store, 2, *none) == [[]]


@asynchronous
async def test_pages_are_stable_while_jobs_come_and_go(home: Home) -> None:
    """No job is shown twice or left out because others were deleted or added."""
    async with home.open() as store:
        jobs = [await end(store, await add(store)) for _ in range(10)]
        first = await page(store, None, 4)
        assert [job.seq for job in first.jobs] == [10, 9, 8, 7]
        # The one that the cursor names, its neighbours, and one that was shown.
        gone = [jobs[index] for index in (9, 6, 5)]
        assert len(await store.write(lambda tx: tx.delete(gone))) == 3
        await add(store)
        second = await page(store, first.cursor, 4)
        assert [job.seq for job in second.jobs] == [5, 4, 3, 2]
        third = await page(store, second.cursor, 4)
        assert [job.seq for job in third.jobs] == [1]
        assert third.cursor is None


@asynchronous
async def test_a_cursor_may_be_any_number(home: Home) -> None:
    """One that no job has, or from before everything."""
    async with home.open() as store:
        await add(store)
        assert [job.seq for job in (await page(store, 10**15, 5)).jobs] == [1]
        assert await page(store, 1, 5) == Page([], None)
        assert await page(store, 0, 5) == Page([], None)


@asynchronous
async def test_jobs_in_a_state_oldest_first(home: Home) -> None:
    """Up to a number, and from after a job on: a large state is gone through so."""

    async def in_state(state: JobState, limit: int, after: int = 0) -> list[int]:
        found = await store.read(lambda reader: reader.in_state(state, limit, after))
        return [job.seq for job in found]

    async with home.open() as store:
        jobs = [await add(store) for _ in range(6)]
        for job in (jobs[3], jobs[1], jobs[4]):
            await end(store, job, JobState.DEAD)
        assert await in_state(JobState.DEAD, 10) == [2, 4, 5]
        assert await in_state(JobState.DEAD, 2) == [2, 4]
        assert await in_state(JobState.DEAD, 2, after=2) == [4, 5]
        assert await in_state(JobState.DEAD, 2, after=5) == []
        assert await in_state(JobState.PENDING, 10) == [1, 3, 6]
        assert await in_state(JobState.COMPLETED, 10) == []


@asynchronous
async def test_running_jobs_are_those_in_processing(home: Home) -> None:
    """All of them: recovery must miss none."""
    async with home.open() as store:
        running: list[Job] = []
        for lease in range(1, 30):
            job = await add(store)
            if lease % 3:
                running.append(
                    await put(
                        store, job, state=JobState.PROCESSING, lease=lease, due=None
                    )
                )
        assert await store.read(lambda reader: reader.running()) == running
