"""What every store does when many use it at once, and while it is being closed."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from helpers.asynchronous import asynchronous
from helpers.stores import (
    Home,
    add,
    assert_counted,
    end,
    everything,
    insert,
    look,
    put,
)
from queuectl_protocol.vocabulary import JobState
from queuectld.core.job import Job, Submission
from queuectld.store.api import Reader, Store, StoreError, Transaction

PATIENCE = 20.0
"""Seconds that a unit of work in a thread waits for the test to let it go on."""


class FailedError(Exception):
    """A unit of work's own error."""


def inserting(**fields: Any) -> Callable[[Transaction], Job]:
    """Return a unit of work that adds a job."""
    submission = Submission(**{"command": "true", **fields})
    return lambda tx: insert(tx, submission)


@asynchronous
async def test_a_reader_sees_every_acknowledged_write(home: Home) -> None:
    """Whoever has the answer to a write finds it in the next read."""
    async with home.open() as store:
        for _ in range(50):
            job = await add(store)
            assert await look(store, job) == job
            job = await end(store, job)
            assert await look(store, job) == job


@asynchronous
async def test_a_reader_sees_nothing_of_a_unit_at_work(home: Home) -> None:
    """What is not durable yet is not there."""
    loop = asyncio.get_running_loop()
    wrote, may_end = asyncio.Event(), threading.Event()

    def slow(tx: Transaction) -> Job:
        job = insert(tx, Submission("true"))
        loop.call_soon_threadsafe(wrote.set)
        assert may_end.wait(PATIENCE)
        return job

    async with home.open() as store:
        writing = asyncio.create_task(store.write(slow))
        await wrote.wait()
        assert await everything(store) == []
        may_end.set()
        assert await everything_after(store, writing) == [await writing]


async def everything_after(store: Store, writing: asyncio.Task[Job]) -> list[Job]:
    await writing
    return await everything(store)


@asynchronous
async def test_a_read_is_one_snapshot(home: Home) -> None:
    """What is written while a read goes on is for the next one."""
    loop = asyncio.get_running_loop()
    began, may_end = asyncio.Event(), threading.Event()

    def slow(reader: Reader) -> tuple[int, int, int]:
        first = len(reader.page(None, None, 10).jobs)
        loop.call_soon_threadsafe(began.set)
        assert may_end.wait(PATIENCE)
        counted = reader.counts()[JobState.PENDING]
        return first, counted, len(reader.page(None, None, 10).jobs)

    async with home.open() as store:
        await add(store)
        reading = asyncio.create_task(store.read(slow))
        await began.wait()
        await add(store)
        may_end.set()
        assert await reading == (1, 1, 1)
        assert len(await everything(store)) == 2


@asynchronous
async def test_a_failing_read_harms_nobody(home: Home) -> None:
    """The reader gets its own error, and the next one its answer."""

    def fail(reader: Reader) -> None:
        reader.counts()
        raise FailedError

    async with home.open() as store:
        job = await add(store)
        for _ in range(3):
            with pytest.raises(FailedError):
                await store.read(fail)
            assert await everything(store) == [job]


@asynchronous
async def test_many_writers_at_once(home: Home) -> None:
    """Hundreds of writers adding and claiming: nothing is lost, nothing taken twice."""

    def claim(tx: Transaction) -> int | None:
        for job in tx.ready(1):
            lease = tx.next_lease()
            new = job._replace(state=JobState.PROCESSING, lease=lease, due=None)
            assert tx.update(job, new)
            return job.seq
        return None

    async with home.open() as store:
        writes = [
            store.write(claim if index % 2 else inserting(id=f"job-{index}"))
            for index in range(400)
        ]
        results = await asyncio.gather(*writes)
        added = [result.seq for result in results if isinstance(result, Job)]
        taken = [result for result in results if isinstance(result, int)]
        while (seq := await store.write(claim)) is not None:
            taken.append(seq)
        assert sorted(added) == sorted(taken)
        assert len(set(added)) == 200
        jobs = await everything(store)
        assert len({job.lease for job in jobs}) == 200
        await assert_counted(store)


@asynchronous
async def test_everybody_gets_his_own_answer(home: Home) -> None:
    """Answers of units that became durable together are not mixed up."""

    def answer(number: int) -> Callable[[Reader], int]:
        return lambda _reader: number

    async with home.open() as store:
        writes = [store.write(answer(n)) for n in range(300)]
        reads = [store.read(answer(n)) for n in range(300, 400)]
        assert await asyncio.gather(*writes, *reads) == list(range(400))


@asynchronous
async def test_a_caller_that_gave_up_harms_nobody(home: Home) -> None:
    """The write of a cancelled caller may happen; those beside it are answered."""
    loop = asyncio.get_running_loop()
    began, may_end = asyncio.Event(), threading.Event()

    def slow(_tx: Transaction) -> None:
        loop.call_soon_threadsafe(began.set)
        assert may_end.wait(PATIENCE)

    async with home.open() as store:
        first = asyncio.create_task(store.write(slow))
        await began.wait()
        tasks = [asyncio.create_task(add(store)) for _ in range(4)]
        await asyncio.sleep(0)  # lets the tasks hand in their units
        tasks[1].cancel()
        may_end.set()
        await first
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(done[1], asyncio.CancelledError)
        kept = {job.seq for job in await everything(store)}
        assert {job.seq for job in done if isinstance(job, Job)} <= kept
        await assert_counted(store)


@asynchronous
async def test_closing_finishes_what_waits(home: Home) -> None:
    """Units handed in before ``close`` are done and answered."""
    async with home.open() as store:
        tasks = [asyncio.create_task(add(store)) for _ in range(50)]
        await asyncio.sleep(0)  # lets the tasks hand in their units
    jobs = await asyncio.gather(*tasks)
    async with home.open() as store:
        assert await everything(store) == sorted(jobs, key=lambda job: job.seq)


@asynchronous
async def test_a_closed_store_refuses(home: Home) -> None:
    """Whoever comes too late gets an error rather than no answer."""
    async with home.open() as store:
        await add(store)
    with pytest.raises(StoreError, match="closed"):
        await store.write(inserting())
    with pytest.raises(StoreError, match="closed"):
        await store.read(lambda reader: reader.counts())


@asynchronous
async def test_a_checkpoint_changes_nothing(home: Home) -> None:
    """Between writes, among writes, with nothing to do."""
    async with home.open() as store:
        await store.checkpoint()
        first = await put(store, await add(store), attempts=1)
        results = await asyncio.gather(
            store.write(inserting()), store.checkpoint(), store.write(inserting())
        )
        await store.checkpoint()
        assert await everything(store) == [first, results[0], results[2]]


@asynchronous
async def test_facts_are_there_for_the_doctor(home: Home) -> None:
    """The store says what it is and how big."""
    async with home.open() as store:
        facts = store.facts()
    assert {"engine", "version", "schema", "path", "size"} <= set(facts)


@asynchronous
async def test_a_light_unit_waits_for_one_heavy_one_and_not_for_all(home: Home) -> None:
    """Whoever enqueues thousands, again and again, does not keep others from it."""
    async with home.open() as store:
        done: list[str] = []

        async def write(label: str, weight: int) -> None:
            await store.write(inserting(label=label), weight=weight)
            done.append(label)

        heavy = [asyncio.create_task(write(f"heavy {n}", 10_000)) for n in range(5)]
        await asyncio.sleep(0)  # they are at it
        await write("light", 1)
        await asyncio.gather(*heavy)
        assert done[2:] == [f"heavy {n}" for n in range(1, 5)]
        assert set(done[:2]) == {"heavy 0", "light"}
