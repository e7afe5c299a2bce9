"""What every store does with units of work: whole or not at all, durable, seen."""

import asyncio
import random
from collections.abc import Callable

import pytest

from helpers.asynchronous import asynchronous
from helpers.jobs import NOW, an_end
from helpers.stores import Home, add, assert_counted, end, everything, insert
from queuectl_protocol.vocabulary import JobState
from queuectld.core.job import Job, Submission
from queuectld.store.api import Reader, StoreError, Transaction


class FailedError(Exception):
    """A unit of work's own error."""


def picture(reader: Reader) -> list[object]:
    """Return all that a store can be asked, as a value to compare."""
    jobs = reader.page(None, None, 1000).jobs
    return [
        jobs,
        reader.counts(),
        reader.delayed(),
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
            insert(tx, Submission("true", id="c", run_at=NOW + 1))
            lease = tx.next_lease()
            running = pending._replace(
                state=JobState.PROCESSING, lease=lease, due=None, runs=1
            )
            assert tx.update(pending, running)
            tx.insert_attempt(running, an_end(lease=lease))
            assert len(tx.delete([done])) == 1
            tx.set_setting("max_retries", 9)
            tx.set_meta("key", "after")
            tx.measure("completed", NOW)
            tx.measure("run", NOW, 5)
            tx.promote(NOW + 1, 10)
            raise FailedError

        with pytest.raises(FailedError):
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
            job = insert(tx, Submission("true", id=f"job-{index}"))
            if index % 3 == 0:
                raise FailedError(index)
            return job.id

        return run

    async with home.open() as store:
        results = await asyncio.gather(
            *(store.write(work(index)) for index in range(100)), return_exceptions=True
        )
        for index, result in enumerate(results):
            if index % 3 == 0:
                assert isinstance(result, FailedError)
                assert result.args == (index,)
            else:
                assert result == f"job-{index}"
        assert len(await everything(store)) == 66
        await assert_counted(store)


@asynchronous
async def test_a_units_own_store_error_is_handed_on(home: Home) -> None:
    """An error of the store's kind, raised by a unit, fails that unit alone."""

    def fail(tx: Transaction) -> None:
        insert(tx, Submission("true"))
        raise StoreError("of its own")

    async with home.open() as store:
        first, error, last = await asyncio.gather(
            add(store),
            store.write(fail),
            add(store),
            return_exceptions=True,
        )
        assert isinstance(error, StoreError)
        assert str(error) == "of its own"
        assert await everything(store) == [first, last]


@asynchronous
async def test_a_unit_sees_its_own_writes(home: Home) -> None:
    """All it asks takes in what it wrote a line before."""

    def work(tx: Transaction) -> None:
        job = insert(tx, Submission("true", env={"A": "1"}))
        later = insert(tx, Submission("true", id="x", run_at=NOW + 5))
        assert (tx.job(job.id), tx.job("x")) == (job, later)
        assert tx.job_by_seq(job.seq) == job
        assert tx.page(None, None, 10).jobs == [later, job]
        assert tx.ready(10) == [job]
        assert tx.next_run_at() == NOW + 5
        assert tx.counts()[JobState.PENDING] == 2
        assert job.env_key is not None
        assert tx.environment(job.env_key) == {"A": "1"}
        running = job._replace(state=JobState.PROCESSING, lease=1, runs=1, due=None)
        assert tx.update(job, running)
        assert tx.running() == tx.in_state(JobState.PROCESSING, 10) == [running]
        assert tx.counts()[JobState.PROCESSING] == 1
        assert tx.ready(10) == []
        done = running._replace(
            state=JobState.DEAD, lease=None, finished_at=NOW, runs=1
        )
        assert tx.update(running, done)
        tx.insert_attempt(running, an_end(lease=1))
        assert [attempt.lease for attempt in tx.attempts(job.seq)] == [1]
        assert tx.prunable([JobState.DEAD], NOW + 1, 10) == [done]
        assert len(tx.delete([done])) == 1
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
            insert(tx, Submission("true"))
            return True

        return run

    async with home.open() as store:
        added = await asyncio.gather(*(store.write(add_below(10)) for _ in range(60)))
        assert added.count(True) == 10
        assert len(await everything(store)) == 10


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
                now.append(insert(tx, Submission("true")))
                continue
            job = now.pop(dice.randrange(len(now)))
            if what < 0.8:
                new = job._replace(state=dice.choice(list(JobState)))
                assert tx.update(job, new)
                now.append(new)
            else:
                assert len(tx.delete([job])) == 1
        if dice.random() < 0.3:
            raise FailedError
        return now

    async with home.open() as store:
        for _ in range(40):
            try:
                jobs = await store.write(unit)
            except FailedError:
                continue
            await assert_counted(store)
        expected = sorted(jobs, key=lambda job: job.seq)
        assert await everything(store) == expected
    async with home.open() as store:
        assert await everything(store) == expected
        await assert_counted(store)
