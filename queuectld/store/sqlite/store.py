"""The SQLite store: a thread that writes and a thread that reads.

The writer thread takes all units of work that wait into one transaction, each in a
savepoint of its own, commits once, and then answers them all: group commit. The more
is waiting, the less a commit costs each. Answers go to the event loop in one call.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

from queuectld.store.api import Reader, StoreError, Transaction
from queuectld.store.sqlite import connection as database
from queuectld.store.sqlite.aside import Aside
from queuectld.store.sqlite.batch import Batch, Outcome, run_batch
from queuectld.store.sqlite.files import Files
from queuectld.store.sqlite.reader import SqliteReader
from queuectld.store.sqlite.transaction import SqliteTransaction
from queuectld.store.turns import Turns

T = TypeVar("T")

MAX_BATCH = 1000
"""Weight of one transaction, at which it takes no more units: bounds how long the
first one waits for its answer. About 0.1 s."""

LIGHT = 10
"""Weight up to which a unit waits for nobody but the thread. The others take turns:
no more than ``MAX_BATCH`` of them, or one that is heavier, are queued at a time."""


@dataclass(slots=True)
class _Job:
    """Work for a thread, and where its outcome goes."""

    work: Callable[[Any], Any]
    future: asyncio.Future[Any]
    weight: int


class _Thread:
    """A thread that takes work from a queue in lumps, and answers on the loop."""

    def __init__(
        self, name: str, run: Callable[[Batch], list[Outcome]], most: int
    ) -> None:
        self._run = run
        self._most = most
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._stopped = False
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    async def submit(self, work: Callable[[Any], T], weight: int = 1) -> T:
        if self._stopped:
            raise StoreError("the store is closed")
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.put(_Job(work, future, weight))
        return await future

    async def stop(self) -> None:
        """Do what is queued, then end."""
        self._stopped = True
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _serve(self) -> None:
        ending = False
        while not ending:
            jobs: list[_Job] = []
            weight = 0
            job = self._queue.get()
            while job is not None:
                jobs.append(job)
                weight += job.weight
                if weight >= self._most or self._queue.empty():
                    break
                job = self._queue.get()
            ending = job is None
            if jobs:
                outcomes = self._outcomes([job.work for job in jobs])
                self._loop.call_soon_threadsafe(_answer, jobs, outcomes)

    def _outcomes(self, batch: Batch) -> list[Outcome]:
        try:
            return self._run(batch)
        except Exception as error:  # noqa: BLE001  # a dead thread answers nobody
            return [Outcome(error=database.translate(error)) for _ in batch]


def _answer(jobs: list[_Job], outcomes: list[Outcome]) -> None:
    for job, outcome in zip(jobs, outcomes, strict=True):
        if job.future.cancelled():
            continue
        if outcome.error is not None:
            job.future.set_exception(outcome.error)
        else:
            job.future.set_result(outcome.result)


class SqliteStore:
    """The store of one state directory; to be made within a running event loop.

    Attributes:
        path: the database's file.
    """

    def __init__(self, path: Path) -> None:
        """Open the database, creating or migrating it.

        Raises:
            StoreOpenError: it cannot be used; it was left as it is.
        """
        self.path = path
        self._writing = database.open_writer(path)
        try:
            self._transaction = SqliteTransaction(self._writing)
            self._reading = database.open_reader(path)
        except sqlite3.Error as error:
            self._writing.close()
            raise database.unusable(path, error) from error
        self._reader = SqliteReader(self._reading)
        self._aside = Aside(path)
        self._files = Files(path)
        self._write_thread = _Thread("store-writer", self._write_batch, MAX_BATCH)
        self._read_thread = _Thread("store-reader", self._read_batch, 1)
        self._turns = Turns(MAX_BATCH)

    async def write(self, work: Callable[[Transaction], T], *, weight: int = 1) -> T:
        """Run a unit of work; return its result once it is durable."""
        if weight <= LIGHT:
            return await self._write_thread.submit(work, weight)
        async with self._turns.take(weight):
            return await self._write_thread.submit(work, weight)

    async def read(self, query: Callable[[Reader], T]) -> T:
        """Run a query in a snapshot that has every acknowledged write."""
        return await self._read_thread.submit(query)

    async def checkpoint(self) -> None:
        """Move what the log holds into the database and empty the log."""
        await self._write_thread.submit(_CHECKPOINT)

    async def backup(self, target: Path, *, replace: bool) -> int:
        """Write a consistent copy to a file; return its size in bytes."""
        return await self._aside.backup(target, replace=replace)

    async def examine(self) -> list[str]:
        """Read everything; return a sentence for each thing that is wrong."""
        return await self._aside.examine()

    def facts(self) -> dict[str, Any]:
        """Return path, versions and sizes in bytes."""
        wal = self.path.with_name(self.path.name + "-wal")
        return {
            "engine": "sqlite",
            "version": sqlite3.sqlite_version,
            "schema": database.schema_version(),
            "path": str(self.path),
            "size": self.path.stat().st_size,
            "wal_size": wal.stat().st_size if wal.exists() else 0,
        }

    async def close(self) -> None:
        """Finish what waits, then close. The last connection empties the log."""
        self._aside.close()
        await self._read_thread.stop()
        await self._write_thread.stop()
        self._reading.close()
        self._writing.close()

    def _write_batch(self, batch: Batch) -> list[Outcome]:
        if _CHECKPOINT in batch:
            # A checkpoint cannot run inside a transaction: it ends the batch.
            rest = [work for work in batch if work is not _CHECKPOINT]
            answers = iter(self._write_batch(rest) if rest else [])
            mark = self._checkpoint()
            return [mark if w is _CHECKPOINT else next(answers) for w in batch]
        try:
            self._files.check()
        except StoreError as error:
            return [Outcome(error=error) for _ in batch]
        return run_batch(self._writing, self._transaction, batch)

    def _read_batch(self, batch: Batch) -> list[Outcome]:
        try:
            self._reading.execute("BEGIN")
            try:
                return [Outcome(batch[0](self._reader))]
            finally:
                # Some errors end the transaction by themselves.
                if self._reading.in_transaction:
                    self._reading.execute("COMMIT")
        except sqlite3.Error as error:
            return [Outcome(error=database.translate(error))]
        except Exception as error:  # noqa: BLE001  # it is the caller's, and goes there
            return [Outcome(error=error)]

    def _checkpoint(self) -> Outcome:
        try:
            self._writing.execute("PRAGMA optimize")
            self._writing.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except sqlite3.Error as error:
            return Outcome(error=database.translate(error))
        return Outcome()


def _CHECKPOINT(_tx: object) -> None:  # noqa: N802
    """Stand in the queue for a checkpoint."""
    raise StoreError("a checkpoint is no unit of work")
