"""How the SQLite store commits: many units at once, and what happens when it fails."""

import asyncio
import sqlite3
import threading
from pathlib import Path

import pytest

from helpers import sqlite_store as faults
from helpers.asynchronous import asynchronous
from helpers.jobs import NOW
from helpers.sqlite_store import Unit, batch_number, opened, opened_faulty, together
from helpers.stores import add, assert_counted, everything, insert
from queuectld.core.job import Job, Submission
from queuectld.store.api import (
    OutcomeUnknownError,
    Reader,
    StoreError,
    Transaction,
)
from queuectld.store.sqlite.store import SqliteStore
from queuectld.store.sqlite.transaction import ENVIRONMENTS_CACHED

# -- group commit --------------------------------------------------------------------


@asynchronous
async def test_units_that_wait_together_are_committed_together(tmp_path: Path) -> None:
    """A hundred units, one transaction, one commit, one sync."""
    async with opened(tmp_path) as store:
        before = batch_number(store)
        statements: list[str] = []
        store._writing.set_trace_callback(statements.append)
        jobs = await together(store, [Unit(f"job-{n}") for n in range(100)])
        store._writing.set_trace_callback(None)
        # The first of both is the unit that held the writer.
        assert statements.count("BEGIN IMMEDIATE") == statements.count("COMMIT") == 2
        assert batch_number(store) == before + 2
        assert statements.count("SAVEPOINT unit") == 101
        assert await everything(store) == jobs


@asynchronous
async def test_counters_are_written_once_for_a_batch(tmp_path: Path) -> None:
    """Adding a hundred jobs changes one counter once, and one line of statistics."""

    def unit(tx: Transaction) -> None:
        insert(tx, Submission("true"))
        tx.measure("completed", NOW)

    async with opened(tmp_path) as store:
        statements: list[str] = []
        store._writing.set_trace_callback(statements.append)
        await together(store, [unit] * 100)
        store._writing.set_trace_callback(None)
        for table in ("counts", "rollup", "numbers"):
            written = [s for s in statements if f"INTO {table} " in s]
            written += [s for s in statements if f"UPDATE {table} " in s]
            assert len(written) == (2 if table == "numbers" else 1)
        await assert_counted(store)


@asynchronous
async def test_a_batch_is_bounded(tmp_path: Path) -> None:
    """However much waits, the first to wait has its answer after a bounded time."""
    async with opened(tmp_path) as store:
        store._writer._thread._most = 10
        before = batch_number(store)
        jobs = await together(store, [Unit(f"job-{n}") for n in range(35)])
        assert batch_number(store) == before + 5
        assert await everything(store) == jobs


@asynchronous
async def test_nobody_is_answered_before_the_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is acknowledged is on disk: the answer waits for the commit's return."""
    loop = asyncio.get_running_loop()
    committing, may_commit = asyncio.Event(), threading.Event()

    def slow(commit: faults.Commit) -> sqlite3.Cursor:
        loop.call_soon_threadsafe(committing.set)
        assert may_commit.wait(faults.PATIENCE)
        return commit()

    async with opened_faulty(tmp_path, monkeypatch) as (store, commits):
        commits.append(slow)
        unit = Unit("one")
        writing = asyncio.create_task(store.write(unit))
        await committing.wait()
        assert unit.runs == 1
        assert await everything(store) == []
        assert not writing.done()
        may_commit.set()
        assert await everything_after(store, writing) == [await writing]


async def everything_after(store: SqliteStore, writing: asyncio.Task[Job]) -> list[Job]:
    await writing
    return await everything(store)


# -- a commit that fails ---------------------------------------------------------------


@asynchronous
async def test_a_commit_that_happened_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reported an error but is in the database: nothing is run a second time."""
    units = [Unit(f"job-{n}") for n in range(5)]
    async with opened_faulty(tmp_path, monkeypatch) as (store, commits):
        commits += [faults.fails_normally, faults.happens_and_fails]
        jobs = await together(store, units)
        assert [job.name for job in jobs] == [unit.name for unit in units]
        assert [unit.runs for unit in units] == [1] * 5
        assert await everything(store) == jobs
        await assert_counted(store)
        commits.append(faults.happens_and_fails)
        jobs.append(await store.write(Unit("alone")))
        assert await everything(store) == jobs


@asynchronous
async def test_a_commit_that_did_not_happen_is_tried_unit_by_unit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is run again once, and each has its answer."""
    units = [Unit(f"job-{n}") for n in range(5)]
    async with opened_faulty(tmp_path, monkeypatch) as (store, commits):
        commits += [faults.fails_normally, faults.fails]
        jobs = await together(store, units)
        assert [job.name for job in jobs] == [unit.name for unit in units]
        assert [unit.runs for unit in units] == [2] * 5
        assert await everything(store) == jobs
        assert len({job.seq for job in jobs}) == 5
        await assert_counted(store)


@asynchronous
async def test_when_commits_go_on_failing_each_unit_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those whose own commit fails get an error; nothing of theirs remains."""
    units = [Unit(f"job-{n}") for n in range(4)]
    async with opened_faulty(tmp_path, monkeypatch) as (store, commits):
        commits += [
            faults.fails_normally,
            faults.fails,
            faults.fails_normally,
            faults.fails,
            faults.happens_and_fails,
            faults.fails,
        ]
        results = await together(store, units)
        assert [type(result) for result in results] == [
            Job,
            StoreError,
            Job,
            StoreError,
        ]
        assert await everything(store) == [results[0], results[2]]
        await assert_counted(store)
        later = await store.write(Unit("later"))
        assert await everything(store) == [results[0], results[2], later]
        await assert_counted(store)


@asynchronous
async def test_a_commit_that_nobody_can_look_up_is_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unknown outcome is an error to all: running again might do it twice."""
    units = [Unit(f"job-{n}") for n in range(3)]
    async with opened_faulty(tmp_path, monkeypatch) as (store, commits):
        commits += [faults.fails_normally, faults.happens_and_fails]
        with monkeypatch.context() as patched:
            patched.setattr(store._transaction, "committed_batch", _unreadable)
            results = await together(store, units)
        assert [type(result) for result in results] == [OutcomeUnknownError] * 3
        assert "nobody knows" in str(results[0])
        assert [unit.runs for unit in units] == [1] * 3
        assert len(await everything(store)) == 3
        await store.write(Unit("later"))
        await assert_counted(store)


def _unreadable() -> int:
    raise sqlite3.OperationalError("disk I/O error")


# -- what must not stop the store ----------------------------------------------------


@asynchronous
async def test_an_error_of_sqlite_in_a_unit_fails_it_alone(tmp_path: Path) -> None:
    """Two jobs of one id, which the broker never asks for, say."""
    async with opened(tmp_path) as store:
        taken = await add(store, id="taken")
        first, error, last = await together(
            store, [Unit("first"), Unit("taken"), Unit("last")]
        )
        assert isinstance(error, StoreError)
        assert "SQLITE_CONSTRAINT" in str(error)
        assert await everything(store) == [taken, first, last]
        await assert_counted(store)


@asynchronous
async def test_numbers_that_sqlite_cannot_hold_fail_their_unit_alone(
    tmp_path: Path,
) -> None:
    """Also where they only show when the batch is written."""

    def endless(tx: Transaction) -> None:
        tx.measure("run", NOW, 2**63)

    async with opened(tmp_path) as store:
        first, error, last = await together(
            store, [Unit("first"), endless, Unit("last")]
        )
        assert isinstance(error, StoreError)
        assert await everything(store) == [first, last]
        assert await store.read(lambda reader: reader.rollup(0)) == {}
        await assert_counted(store)


@asynchronous
async def test_no_error_ends_the_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever breaks in a batch, its callers are answered, and so are the next."""

    def breaks(_commit: faults.Commit) -> sqlite3.Cursor:
        raise MemoryError

    async with opened_faulty(tmp_path, monkeypatch) as (store, commits):
        commits.append(breaks)
        with pytest.raises(StoreError):
            await store.write(Unit("one"))
        two = await store.write(Unit("two"))
        assert await everything(store) == [two]
        await assert_counted(store)


@asynchronous
async def test_a_read_whose_transaction_sqlite_ended_fails_alone(
    tmp_path: Path,
) -> None:
    """Some errors roll back by themselves: the reader is told, the next one served."""
    async with opened(tmp_path) as store:
        job = await add(store)

        def fail(_reader: Reader) -> None:
            store._reading.execute("ROLLBACK")
            raise sqlite3.OperationalError("disk I/O error")

        with pytest.raises(StoreError, match="disk I/O error"):
            await store.read(fail)
        assert await everything(store) == [job]


@asynchronous
async def test_more_environments_than_are_cached(tmp_path: Path) -> None:
    """Each is the one of its key; memory is bounded."""
    async with opened(tmp_path) as store:
        envs = [{"N": str(n)} for n in range(ENVIRONMENTS_CACHED + 10)]
        keys = await store.write(lambda tx: list(map(tx.keep_environment, envs)))
        for _ in range(2):
            found = await store.write(lambda tx: list(map(tx.environment, keys)))
            assert found == envs
        assert len(store._transaction._environments) == ENVIRONMENTS_CACHED
