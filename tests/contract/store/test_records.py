"""What every store keeps beside jobs: attempts, environments, settings, meta."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from helpers.asynchronous import asynchronous
from helpers.jobs import NOW, an_end
from helpers.stores import Home, add, end, put
from queuectl_protocol.vocabulary import JobState, Reason
from queuectld.core.job import Attempt, AttemptEnd, Job
from queuectld.store.api import Reader, Store

ENDS = {
    "all": AttemptEnd(
        lease=41,
        started_at=NOW,
        finished_at=NOW + 1,
        reason=Reason.OUTPUT_LIMIT,
        exit_code=3,
        signal=15,
        message="sent SIGTERM; ✗",
        max_rss=2**40,
        user_ms=4,
        system_ms=5,
        stdout_bytes=6,
        stderr_bytes=2**41,
        memory_peak=2**42,
    ),
    "least": AttemptEnd(41, None, NOW, Reason.LOST),
}


async def attempts(store: Store, job: Job) -> list[Attempt]:
    return await store.read(lambda reader: reader.attempts(job.seq))


async def run(store: Store, job: Job, number: int, finish: AttemptEnd) -> Job:
    """Put a run of the job on record; return the job as it was meanwhile."""
    running = await put(store, job, runs=number, lease=finish.lease, worker=number + 10)
    await store.write(lambda tx: tx.insert_attempt(running, finish))
    return running


@pytest.mark.parametrize("name", ENDS)
@asynchronous
async def test_an_attempt_reads_back(home: Home, name: str) -> None:
    """Every field, those that are not known included."""
    finish = ENDS[name]
    assert len(AttemptEnd._fields) == 13, "ENDS should have the new field"
    async with home.open() as store:
        job = await add(store)
        await run(store, job, 3, finish)
        expected = [Attempt(3, 41, 13, finish.started_at, finish)]
        assert await attempts(store, job) == expected
    async with home.open() as store:
        assert await attempts(store, job) == expected


@asynchronous
async def test_attempts_are_told_oldest_first_and_by_job(home: Home) -> None:
    """Each job has its own, in the order of its runs."""
    async with home.open() as store:
        one, two = await add(store), await add(store)
        assert await attempts(store, one) == []
        for number in (1, 2, 10, 11):
            one = await run(store, one, number, an_end(lease=number))
            two = await run(store, two, number, an_end(lease=number + 50))
        assert [a.run for a in await attempts(store, one)] == [1, 2, 10, 11]
        assert [a.lease for a in await attempts(store, two)] == [51, 52, 60, 61]


@asynchronous
async def test_a_running_attempt_is_not_on_record(home: Home) -> None:
    """There is a row for what ended; the job itself tells of what runs."""
    async with home.open() as store:
        job = await put(
            store, await add(store), state=JobState.PROCESSING, lease=1, runs=1
        )
        assert await attempts(store, job) == []


async def environment(store: Store, job: Job) -> dict[str, str]:
    key = job.env_key
    assert key is not None
    return await store.read(lambda reader: reader.environment(key))


@asynchronous
async def test_an_environment_is_stored_once(home: Home) -> None:
    """Its content names it: the same variables in any order are the same one."""
    async with home.open() as store:
        first = await add(store, env={"A": "1", "B": "2"})
        same = await add(store, env={"B": "2", "A": "1"})
        other = await add(store, env={"A": "12", "B": ""})
        none, empty = await add(store), await add(store, env={})
        assert first.env_key == same.env_key
        assert none.env_key is None
        assert len({first.env_key, other.env_key, empty.env_key}) == 3
        assert await environment(store, same) == {"A": "1", "B": "2"}
        assert await environment(store, other) == {"A": "12", "B": ""}
        assert await environment(store, empty) == {}


@asynchronous
async def test_an_environment_goes_with_its_last_job(home: Home) -> None:
    """It stays while any job has it, in whatever state, and comes back when asked."""
    env = {"TOKEN": "secret"}
    async with home.open() as store:
        done = await end(store, await add(store, env=env))
        waiting = await add(store, env=env)
        await store.write(lambda tx: tx.delete([done]))
        assert await environment(store, waiting) == env
        waiting = await end(store, waiting)
        await store.write(lambda tx: tx.delete([waiting]))
        with pytest.raises(KeyError):
            await environment(store, waiting)
        assert await environment(store, await add(store, env=env)) == env


@asynchronous
async def test_environments_of_a_deleted_batch_go_together(home: Home) -> None:
    """Several jobs with one environment, deleted in one unit of work."""
    async with home.open() as store:
        jobs = [await end(store, await add(store, env={"A": "1"})) for _ in range(3)]
        kept = await add(store, env={"A": "2"})
        assert len(await store.write(lambda tx: tx.delete(jobs))) == 3
        with pytest.raises(KeyError):
            await environment(store, jobs[0])
        assert await environment(store, kept) == {"A": "2"}


@asynchronous
async def test_an_environment_stays_when_its_job_is_not_deleted(home: Home) -> None:
    """A job that changed meanwhile keeps what it runs with."""
    async with home.open() as store:
        old = await end(store, await add(store, env={"A": "1"}))
        job = await put(store, old, state=JobState.PENDING, due=True)
        assert len(await store.write(lambda tx: tx.delete([old]))) == 0
        assert await environment(store, job) == {"A": "1"}


async def set_setting(store: Store, key: str, value: float | None) -> None:
    await store.write(lambda tx: tx.set_setting(key, value))


@asynchronous
async def test_settings_are_kept_until_unset(home: Home) -> None:
    """Numbers come back as the kind of number they were."""
    values: dict[str, Any] = {"max_retries": 5, "timeout": 0.5, "max_queued": 10**12}
    async with home.open() as store:
        assert await store.read(lambda reader: reader.settings()) == {}
        for key, value in values.items():
            await set_setting(store, key, value)
        found = await store.read(lambda reader: reader.settings())
        assert found == values
        assert [type(found[key]) for key in values] == [int, float, int]
        await set_setting(store, "timeout", 7)
        await set_setting(store, "max_retries", None)
        await set_setting(store, "never_set", None)
    async with home.open() as store:
        kept = {"timeout": 7, "max_queued": 10**12}
        assert await store.read(lambda reader: reader.settings()) == kept


@asynchronous
async def test_meta_values_are_kept(home: Home) -> None:
    """A small value of the daemon's own: the last one counts."""
    async with home.open() as store:
        assert await store.read(lambda reader: reader.meta("workers_wanted")) is None
        await store.write(lambda tx: tx.set_meta("workers_wanted", "4"))
        await store.write(lambda tx: tx.set_meta("other", "ü"))
        await store.write(lambda tx: tx.set_meta("workers_wanted", "8"))
    async with home.open() as store:
        assert await store.read(lambda reader: reader.meta("workers_wanted")) == "8"
        assert await store.read(lambda reader: reader.meta("other")) == "ü"


@asynchronous
async def test_attempts_can_be_read_in_parts(home: Home) -> None:
    """The newest ones before some run, or the first one after it."""
    async with home.open() as store:
        job = await add(store)
        for number in (1, 2, 3):
            running = await run(store, job, number, an_end(lease=number))
            job = await put(store, running, lease=None)

        def runs(
            before: int | None, limit: int | None
        ) -> Callable[[Reader], list[int]]:
            return lambda reader: [
                each.run for each in reader.attempts(job.seq, before, limit)
            ]

        assert await store.read(runs(None, 2)) == [2, 3]
        assert await store.read(runs(3, 1)) == [2]
        assert await store.read(runs(3, None)) == [1, 2]
        assert await store.read(runs(1, 5)) == []
        after = [
            await store.read(
                partial(lambda reader, run: reader.attempt_after(job.seq, run), run=n)
            )
            for n in (0, 2, 3)
        ]
        assert [each and each.run for each in after] == [1, 3, None]
