"""A SQLite store whose writer can be held up, and whose commits can fail."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from helpers.stores import insert
from queuectld.core.job import Job, Submission
from queuectld.store.api import Store, Transaction
from queuectld.store.sqlite import connection as database
from queuectld.store.sqlite.store import SqliteStore

PATIENCE = 20.0
"""Seconds that a thread waits for the test to let it go on."""


@asynccontextmanager
async def held(store: Store) -> AsyncIterator[None]:
    """Keep the writer busy: what is handed in meanwhile waits, and is then one batch.

    The unit of work that holds it is a batch of its own, committed before.
    """
    loop = asyncio.get_running_loop()
    began, may_end = asyncio.Event(), threading.Event()

    def hold(_tx: Any) -> None:
        loop.call_soon_threadsafe(began.set)
        assert may_end.wait(PATIENCE)

    holding = asyncio.create_task(store.write(hold))
    await began.wait()
    try:
        yield
    finally:
        may_end.set()
        await holding


Commit = Callable[[], sqlite3.Cursor]


class FaultyConnection(sqlite3.Connection):
    """A connection whose next commits do what ``faults`` say, the first one first."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.faults: list[Callable[[Commit], sqlite3.Cursor]] = []

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        """Execute; a commit may be in for a fault."""

        def run() -> sqlite3.Cursor:
            return super(FaultyConnection, self).execute(sql, *parameters)

        if sql == "COMMIT" and self.faults:
            return self.faults.pop(0)(run)
        return run()


def faulty(path: Path) -> sqlite3.Connection:
    """Connect as the store does, with faults to come."""
    return sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, factory=FaultyConnection
    )


def happens_and_fails(commit: Commit) -> sqlite3.Cursor:
    """Commit, and report an error all the same."""
    commit()
    raise sqlite3.OperationalError("disk I/O error")


def fails(_commit: Commit) -> sqlite3.Cursor:
    """Report an error; nothing was committed."""
    raise sqlite3.OperationalError("disk I/O error")


def fails_normally(commit: Commit) -> sqlite3.Cursor:
    """Commit without a fault: a place in line."""
    return commit()


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[SqliteStore]:
    """Open a store there; close it at the end."""
    store = SqliteStore(folder / "queuectl.db")
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def opened_faulty(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[SqliteStore, list[Callable[..., Any]]]]:
    """Open a store and give the list of what its next commits come to."""
    monkeypatch.setattr(database, "_connect", faulty)
    async with opened(folder) as store:
        assert isinstance(store._writing, FaultyConnection)
        yield store, store._writing.faults


class Unit:
    """A unit of work that adds a job, and counts how often it was run."""

    def __init__(self, name: str, size: int = 1) -> None:
        self.name = name
        self.runs = 0
        self._submission = Submission("x" * size, id=name)

    def __call__(self, tx: Transaction) -> Job:
        """Add the job."""
        self.runs += 1
        return insert(tx, self._submission)


async def together(store: SqliteStore, units: list[Any]) -> list[Any]:
    """Run units of work as one batch; return their results or errors."""
    async with held(store):
        tasks = [asyncio.create_task(store.write(unit)) for unit in units]
        await asyncio.sleep(0)  # lets the tasks hand in their units
    return await asyncio.gather(*tasks, return_exceptions=True)


def batch_number(store: SqliteStore) -> int:
    """Return how many batches the database has seen."""
    return store._transaction.committed_batch()
