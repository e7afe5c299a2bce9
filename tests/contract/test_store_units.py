"""What every store does with units of work: whole or not at all, durable, seen."""

import asyncio
import random
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from helpers.asynchronous import asynchronous
from helpers.jobs import NOW, an_end
from helpers.stores import (
    DEFAULTS,
    Home,
    add,
    assert_counted,
    end,
    everything,
    look,
    put,
)
from queuectl_protocol.vocabulary import JobState
from queuectld.core.job import Job, Submission
from queuectld.store.api import Measure, Reader, Store, StoreError, Transaction

PATIENCE = 20.0
"""Seconds that a unit of work in a thread waits for the test to let it go on."""


class Failed(Exception):
    """A unit of work's own error."""


def insert(**fields: str) -> Callable[[Transaction], Job]:
    submission = Submission(**{"command": "true", **fields})
    return lambda tx: tx.insert(submission, DEFAULTS, NOW)


def picture(reader: Reader) -> list[object]:
    """Return all that a store can be asked, as a value to compare."""
    jobs = reader.page(None, None, 1000).jobs
    return [
        jobs,
        reader.counts(),
        [reader.attempts(job.seq) for job in jobs],
        reader.settings(),
        reader.meta("key"),
        reader.rollup(0),
        reader.next_run_at(),
        reader.running(),
    ]


@asynchronous
async def test_a_failing_unit_leaves_nothing(home: Home) -> None:
    """Whatever it wrote before it failed is as if it had never been."""
    async with home.open() as store:
        pending, done = await add(store, env={"A": "1"}), await add(store, id="b")
        done = await end(store, done)
        await store.write(lambda tx: tx.set_meta("key", "before"))
        before = await store.read(picture)

        def fail(tx: Transaction) -> None:
            tx.insert(Submission("true", id="c", run_at=NOW + 1), DEFAULTS, NOW)
            lease = tx.next_lease()
            running = replace(
                pending, state=JobState.PROCESSING, lease=lease, due=None, runs=1
            )
            assert tx.update(pending, running)
            tx.insert_attempt(running, an_end(lease=lease))
            assert tx.delete([done]) == 1
            tx.set_setting("max_retries", 9)
            tx.set_meta("key", "after")
            tx.measure([Measure("completed", NOW), Measure("run", NOW, 5)])
            tx.promote(NOW + 1, 10)
            raise Failed

        with pytest.raises(Failed):
            await store.write(fail)
        assert await store.read(picture) == before
        assert await store.write(picture) == before
    async with home.open() as store:
        assert await store.read(picture) == before


@asynchronous
async def test_a_failing_unit_does_not_take_others_with_it(home: Home) -> None:
    """Of units that wait at the same time each succeeds or fails by itself."""

    def work(index: int) -> Callable[[Transaction], str]:
        def run(tx: Transaction) -> str:
            job = tx.insert(Submission("true", id=f"job-{index}"), DEFAULTS, NOW)
            if index % 3 == 0:
                raise Failed(index)
            return job.id

        return run

    async with home.open() as store:
        results = await asyncio.gather(
            *(store.write(work(index)) for index in range(100)), return_exceptions=True
        )
        for index, result in enumerate(results):
            if index % 3 == 0:
                assert isinstance(result, Failed)
                assert result.args == (index,)
            else:
                assert result == f"job-{index}"
        assert len(await everything(store)) == 66
        await assert_counted(store)


@asynchronous
async def test_a_units_own_store_error_is_handed_on(home: Home) -> None:
    """An error of the store's kind, raised by a unit, fails that unit alone."""

    def fail(tx: Transaction) -> None:
        tx.insert(Submission("true"), DEFAULTS, NOW)
        raise StoreError("of its own")

    async with home.open() as store:
        first, error, last = await asyncio.gather(
            store.write(insert()),
            store.write(fail),
            store.write(insert()),
            return_exceptions=True,
        )
        assert isinstance(error, StoreError)
        assert str(error) == "of its own"
        assert await everything(store) == [first, last]


@asynchronous
async def test_a_unit_sees_its_own_writes(home: Home) -> None:
    """All it asks takes in what it wrote a line before."""

    def work(tx: Transaction) -> None:
        job = tx.insert(Submission("true", env={"A": "1"}), DEFAULTS, NOW)
        later = tx.insert(Submission("true", id="x", run_at=NOW + 5), DEFAULTS, NOW)
        assert (tx.job(job.id), tx.job("x")) == (job, later)
        assert tx.job_by_seq(job.seq) == job
        assert tx.page(None, None, 10).jobs == [later, job]
        assert tx.ready(10) == [job]
        assert tx.next_run_at() == NOW + 5
        assert tx.counts()[JobState.PENDING] == 2
        assert job.env_key is not None
        assert tx.environment(job.env_key) == {"A": "1"}
        running = replace(job, state=JobState.PROCESSING, lease=1, runs=1, due=None)
        assert tx.update(job, running)
        assert tx.running() == tx.in_state(JobState.PROCESSING, 10) == [running]
        assert tx.counts()[JobState.PROCESSING] == 1
        assert tx.ready(10) == []
        done = replace(
            running, state=JobState.DEAD, lease=None, finished_at=NOW, runs=1
        )
        assert tx.update(running, done)
        tx.insert_attempt(running, an_end(lease=1))
        assert [attempt.lease for attempt in tx.attempts(job.seq)] == [1]
        assert tx.prunable([JobState.DEAD], NOW + 1, 10) == [done]
        assert tx.delete([done]) == 1
        assert tx.counts()[JobState.DEAD] == 0
        tx.set_setting("timeout", 7)
        assert tx.settings() == {"timeout": 7}
        tx.set_meta("key", "value")
        assert tx.meta("key") == "value"

    async with home.open() as store:
        await store.write(work)


@asynchronous
async def test_a_unit_sees_what_the_unit_before_it_wrote(home: Home) -> None:
    """Even of units that become durable together: a limit holds over all of them."""

    def add_below(limit: int) -> Callable[[Transaction], bool]:
        def run(tx: Transaction) -> bool:
            if tx.counts()[JobState.PENDING] >= limit:
                return False
            tx.insert(Submission("true"), DEFAULTS, NOW)
            return True

        return run

    async with home.open() as store:
        added = await asyncio.gather(*(store.write(add_below(10)) for _ in range(60)))
        assert added.count(True) == 10
        assert len(await everything(store)) == 10


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
        job = tx.insert(Submission("true"), DEFAULTS, NOW)
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
        raise Failed

    async with home.open() as store:
        job = await add(store)
        for _ in range(3):
            with pytest.raises(Failed):
                await store.read(fail)
            assert await everything(store) == [job]


@pytest.mark.parametrize("seed", range(3))
@asynchronous
async def test_the_counts_are_always_those_of_the_rows(home: Home, seed: int) -> None:
    """After any mixture of inserts, changes, deletions and units that fail."""
    dice = random.Random(seed)
    jobs: list[Job] = []

    def unit(tx: Transaction) -> list[Job]:
        now = list(jobs)
        for _ in range(dice.randrange(1, 4)):
            what = dice.random()
            if what < 0.5 or not now:
                now.append(tx.insert(Submission("true"), DEFAULTS, NOW))
                continue
            job = now.pop(dice.randrange(len(now)))
            if what < 0.8:
                new = replace(job, state=dice.choice(list(JobState)))
                assert tx.update(job, new)
                now.append(new)
            else:
                assert tx.delete([job]) == 1
        if dice.random() < 0.3:
            raise Failed
        return now

    async with home.open() as store:
        for _ in range(40):
            try:
                jobs = await store.write(unit)
            except Failed:
                continue
            await assert_counted(store)
        expected = sorted(jobs, key=lambda job: job.seq)
        assert await everything(store) == expected
    async with home.open() as store:
        assert await everything(store) == expected
        await assert_counted(store)


@asynchronous
async def test_many_writers_at_once(home: Home) -> None:
    """Hundreds of writers adding and claiming: nothing is lost, nothing taken twice."""

    def claim(tx: Transaction) -> int | None:
        for job in tx.ready(1):
            lease = tx.next_lease()
            new = replace(job, state=JobState.PROCESSING, lease=lease, due=None)
            assert tx.update(job, new)
            return job.seq
        return None

    async with home.open() as store:
        writes = [
            store.write(claim if index % 2 else insert(id=f"job-{index}"))
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
        await store.write(insert())
    with pytest.raises(StoreError, match="closed"):
        await store.read(lambda reader: reader.counts())


@asynchronous
async def test_a_checkpoint_changes_nothing(home: Home) -> None:
    """Between writes, among writes, with nothing to do."""
    async with home.open() as store:
        await store.checkpoint()
        first = await put(store, await add(store), attempts=1)
        results = await asyncio.gather(
            store.write(insert()), store.checkpoint(), store.write(insert())
        )
        await store.checkpoint()
        assert await everything(store) == [first, results[0], results[2]]


@asynchronous
async def test_facts_are_there_for_the_doctor(home: Home) -> None:
    """The store says what it is and how big."""
    async with home.open() as store:
        facts = store.facts()
    assert {"engine", "version", "schema", "path", "size"} <= set(facts)
