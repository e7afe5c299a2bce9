"""Where the SQLite store commits: on the event loop or in its thread, never in both."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from helpers.asynchronous import asynchronous
from helpers.sqlite_store import (
    FaultyConnection,
    Unit,
    batch_number,
    fails,
    faulty,
    happens_and_fails,
)
from helpers.stores import add, assert_counted, everything, insert
from queuectld.core.job import Job, Submission
from queuectld.store.api import StoreError, Transaction
from queuectld.store.sqlite import connection as database
from queuectld.store.sqlite import writer
from queuectld.store.sqlite.store import SqliteStore
from queuectld.store.sqlite.writer import CHECKPOINT_AFTER, LIGHT, MAX_TURN, PROOF

ALWAYS = 3600.0
"""Seconds: every commit is quick."""


@asynccontextmanager
async def a_quick(folder: Path, quick: float = ALWAYS) -> AsyncIterator[SqliteStore]:
    """Give a store that has proven that it is quick."""
    store = SqliteStore(folder / "queuectl.db", quick)
    try:
        for _ in range(PROOF):
            await store.write(nothing)
        yield store
    finally:
        await store.close()


def nothing(_tx: Transaction) -> None:
    """Do nothing, in a transaction."""


def where(_tx: Transaction) -> bool:
    """Return whether this is the event loop's thread."""
    return threading.current_thread() is threading.main_thread()


def inserting(name: str) -> Callable[[Transaction], Job]:
    """Return a unit that adds a job."""
    return lambda tx: insert(tx, Submission("true", id=name))


@asynchronous
async def test_a_store_begins_in_the_thread(tmp_path: Path) -> None:
    """And moves to the loop when it has proven that its disk is quick."""
    store = SqliteStore(tmp_path / "queuectl.db", ALWAYS)
    try:
        places = [await store.write(where) for _ in range(PROOF + 3)]
        assert places == [False] * PROOF + [True] * 3
    finally:
        await store.close()


@asynchronous
async def test_a_slow_disk_keeps_it_there(tmp_path: Path) -> None:
    """No commit is quick enough: the loop waits for none."""
    async with a_quick(tmp_path, quick=0) as store:
        assert [await store.write(where) for _ in range(3)] == [False] * 3


@asynchronous
async def test_one_slow_commit_sends_the_next_to_the_thread(tmp_path: Path) -> None:
    """Until as many as before have been quick again."""
    async with a_quick(tmp_path) as store:
        assert await store.write(where)
        store._writer._limit = 0
        assert await store.write(where)  # nobody can know before
        store._writer._limit = ALWAYS
        places = [await store.write(where) for _ in range(PROOF + 1)]
        assert places == [False] * PROOF + [True]


@asynchronous
async def test_a_lock_of_somebody_else_is_waited_for_in_the_thread(
    tmp_path: Path,
) -> None:
    """The loop goes on meanwhile, and all are answered when the lock is gone."""
    async with a_quick(tmp_path) as store:
        with closing(sqlite3.connect(store.path, isolation_level=None)) as operator:
            operator.execute("BEGIN IMMEDIATE")
            units = [store.write(inserting(f"job-{n}")) for n in range(5)]
            writing = asyncio.gather(*units)
            while not store._writer._thread.pending:  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0)  # until the loop has met the lock itself
            assert await everything(store) == []  # a read, by way of the loop
            assert not writing.done()
            operator.execute("ROLLBACK")
            jobs = await writing
        assert await everything(store) == jobs
        assert not await store.write(where)


@asynchronous
async def test_what_fails_on_the_loop_is_tried_in_the_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that takes long to fail holds up nobody a second time."""
    monkeypatch.setattr(database, "_connect", faulty)
    async with a_quick(tmp_path) as store:
        assert isinstance(store._writing, FaultyConnection)
        store._writing.faults.append(fails)
        units = [Unit("one"), Unit("two")]
        jobs = await asyncio.gather(*map(store.write, units))
        assert [unit.runs for unit in units] == [2, 2]
        assert await everything(store) == list(jobs)
        assert not await store.write(where)
        await assert_counted(store)


@asynchronous
async def test_a_commit_that_says_it_failed_is_not_quick(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when it took place, and its caller has the answer."""
    monkeypatch.setattr(database, "_connect", faulty)
    async with a_quick(tmp_path) as store:
        assert isinstance(store._writing, FaultyConnection)
        store._writing.faults.append(happens_and_fails)
        unit = Unit("one")
        job = await store.write(unit)
        assert unit.runs == 1
        assert await everything(store) == [job]
        assert not await store.write(where)


@asynchronous
async def test_a_checkpoint_waits_for_no_reader(tmp_path: Path) -> None:
    """A backup reads for minutes; nobody who writes is held up by that."""
    async with a_quick(tmp_path) as store:
        await add(store)
        with closing(sqlite3.connect(store.path, isolation_level=None)) as backup:
            backup.execute("BEGIN")
            backup.execute("SELECT count(*) FROM jobs").fetchone()
            job = await add(store)
            store._writing.execute("PRAGMA busy_timeout = 3600000")
            await store.checkpoint()
            assert backup.execute("SELECT count(*) FROM jobs").fetchone() == (1,)
        assert job in await everything(store)


@asynchronous
async def test_what_comes_in_one_turn_is_one_batch(tmp_path: Path) -> None:
    """Also what only comes because the others were read first."""
    async with a_quick(tmp_path) as store:
        before = batch_number(store)

        async def late(name: str) -> Job:
            await asyncio.sleep(0)
            return await store.write(inserting(name))

        jobs = await asyncio.gather(
            *(store.write(inserting(f"at-once-{n}")) for n in range(5)),
            *(late(f"late-{n}") for n in range(5)),
        )
        assert batch_number(store) == before + 1
        assert await everything(store) == jobs
        await assert_counted(store)


@asynchronous
async def test_the_order_is_kept_from_one_place_to_the_other(tmp_path: Path) -> None:
    """A light unit, a heavy one, and a light one: in the order they were handed in."""
    async with a_quick(tmp_path) as store:
        done: list[str] = []

        async def write(name: str, weight: int) -> None:
            await store.write(inserting(name), weight=weight)
            done.append(name)

        names = ["a", "b", "c", "d", "e"]
        weights = [1, LIGHT, MAX_TURN, 1, LIGHT + 1]
        await asyncio.gather(*map(write, names, weights))
        assert [job.name for job in await everything(store)] == names
        assert done == names
        assert await store.write(where)


@asynchronous
async def test_a_turn_is_bounded(tmp_path: Path) -> None:
    """More than a turn may hold up the loop with goes to the thread."""
    async with a_quick(tmp_path) as store:
        places = await asyncio.gather(
            *(store.write(where, weight=LIGHT) for _ in range(MAX_TURN // LIGHT + 5))
        )
        assert places == [False] * len(places)


@asynchronous
async def test_units_fail_alone_on_the_loop_too(tmp_path: Path) -> None:
    """One's error is its own; of what it did nothing is left."""

    def fails(tx: Transaction) -> None:
        insert(tx, Submission("true", id="gone"))
        raise KeyError("mine")

    async with a_quick(tmp_path) as store:
        units: list[Any] = [Unit("one"), fails, Unit("two"), Unit("one")]
        found = await asyncio.gather(*map(store.write, units), return_exceptions=True)
        assert [type(result) for result in found] == [Job, KeyError, Job, StoreError]
        assert [job.name for job in await everything(store)] == ["one", "two"]
        await assert_counted(store)


@asynchronous
async def test_a_caller_that_gave_up_is_not_answered(tmp_path: Path) -> None:
    """The others of its turn are."""
    async with a_quick(tmp_path) as store:
        tasks = [asyncio.create_task(add(store)) for _ in range(3)]
        await asyncio.sleep(0)  # lets them hand in their units
        tasks[1].cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(done[1], asyncio.CancelledError)
        assert [type(result) for result in (done[0], done[2])] == [Job, Job]


@asynchronous
async def test_closing_finishes_the_turn(tmp_path: Path) -> None:
    """What was handed in before ``close`` is there afterwards."""
    async with a_quick(tmp_path) as store:
        tasks = [asyncio.create_task(add(store)) for _ in range(5)]
        await asyncio.sleep(0)  # lets them hand in their units
    jobs = await asyncio.gather(*tasks)
    async with a_quick(tmp_path) as store:
        assert await everything(store) == jobs


@asynchronous
async def test_the_log_begins_anew_after_some_commits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread empties it, so that it does not grow with every commit of a burst."""
    monkeypatch.setattr(writer, "CHECKPOINT_AFTER", 50)
    assert CHECKPOINT_AFTER > 50
    async with a_quick(tmp_path) as store:
        for _ in range(3 * 50):
            await add(store)
        size = store.facts()["wal_size"]
        for _ in range(10 * 50):
            await add(store)
        assert store.facts()["wal_size"] <= 2 * size
