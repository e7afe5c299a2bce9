"""The SQLite store: one place that writes and a thread that reads.

All units of work that wait are taken into one transaction, each in a savepoint of its
own, committed once, and then answered: group commit. The more is waiting, the less a
commit costs each.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from queuectld.store.api import Reader, StoreError, StoreTooNewError, Transaction
from queuectld.store.sqlite import connection as database
from queuectld.store.sqlite import premigration
from queuectld.store.sqlite.batch import Batch, UnitOutcome, run_batch, try_batch
from queuectld.store.sqlite.files import Files
from queuectld.store.sqlite.maintenance import Maintenance
from queuectld.store.sqlite.reader import SqliteReader
from queuectld.store.sqlite.threads import StoreThread, Task
from queuectld.store.sqlite.transaction import SqliteTransaction
from queuectld.store.sqlite.writer import LIGHT, MAX_BATCH, QUICK, Writer
from queuectld.store.weighted_semaphore import WeightedSemaphore

T = TypeVar("T")


class SqliteStore:
    """The store of one state directory; to be made within a running event loop.

    Attributes:
        path: the database's file.
    """

    def __init__(self, path: Path, quick: float = QUICK) -> None:
        """Open the database, creating or migrating it.

        Args:
            path: the database's file.
            quick: as for ``Writer``.

        Raises:
            StoreOpenError: it cannot be used; it was left as it is.
        """
        self.path = path
        self._writing = _open(path)
        try:
            self._transaction = SqliteTransaction(self._writing)
            self._reading = database.open_reader(path)
        except sqlite3.Error as error:
            self._writing.close()
            raise database.unusable(path, error) from error
        self._reader = SqliteReader(self._reading)
        self._maintenance = Maintenance(path)
        self._files = Files(path)
        self._patient = True
        self._problem: str | None = None
        self._writer = Writer(
            self._write_batch,
            self._try_batch,
            self._transaction,
            checkpoint=_CHECKPOINT,
            ping=_PING,
            quick=quick,
        )
        self._read_thread = StoreThread("store-reader", self._read_batch, 1)
        self._heavy = WeightedSemaphore(MAX_BATCH)

    def write(
        self, work: Callable[[Transaction], T], *, weight: int = 1
    ) -> Coroutine[Any, Any, T]:
        """Run a unit of work; return its result once it is durable."""
        write = self._write if weight <= LIGHT else self._write_heavy
        return write(work, weight)

    @property
    def problem(self) -> str | None:
        """Why nothing can be written: the error of the last write, if it failed."""
        return self._problem

    async def _write_heavy(self, work: Callable[[Transaction], T], weight: int) -> T:
        async with self._heavy.take(weight):
            return await self._write(work, weight)

    async def _write(self, work: Callable[[Transaction], T], weight: int) -> T:
        try:
            done = await self._writer.submit(work, weight)
        except StoreError as error:
            self._problem = str(error)
            raise
        self._problem = None
        return done

    async def read(self, query: Callable[[Reader], T]) -> T:
        """Run a query in a snapshot that has every acknowledged write."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._read_thread.submit(Task(query, future, 1))
        return await future

    async def checkpoint(self) -> None:
        """Move what the log holds into the database, so that it begins anew."""
        await self._writer.submit(_CHECKPOINT, MAX_BATCH)

    async def alive(self) -> None:
        """Return once whoever writes and whoever reads have answered."""
        await self._writer.alive()
        with contextlib.suppress(StoreError):
            await self.read(lambda reader: reader.meta(""))

    async def backup(
        self,
        target: Path,
        *,
        replace: bool,
        wall: Callable[[], int] | None = None,
    ) -> int:
        """Write a consistent copy to a file; return its size in bytes."""
        return await self._maintenance.backup(target, replace=replace, wall=wall)

    async def examine(self) -> list[str]:
        """Read everything; return a sentence for each thing that is wrong."""
        return await self._maintenance.examine()

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
        self._maintenance.close()
        await self._read_thread.stop()
        await self._writer.close()
        self._reading.close()
        self._writing.close()

    def _write_batch(self, batch: Batch) -> list[UnitOutcome]:
        for mark, do in ((_CHECKPOINT, self._checkpoint), (_PING, self._ping)):
            if mark in batch:
                # Neither can run inside a transaction: it ends the batch.
                rest = [work for work in batch if work is not mark]
                answers = iter(self._write_batch(rest) if rest else [])
                done = do()
                return [done if w is mark else next(answers) for w in batch]
        try:
            self._files.check()
        except StoreError as error:
            return [UnitOutcome(error=error) for _ in batch]
        if not self._patient:
            self._set_patience(patient=True)
        return run_batch(self._writing, self._transaction, batch)

    def _try_batch(self, batch: Batch) -> list[UnitOutcome] | None:
        """Commit a batch without waiting for anything but the disk, once."""
        try:
            self._files.check()
            if self._patient:
                self._set_patience(patient=False)
        except (StoreError, sqlite3.Error):
            return None
        return try_batch(self._writing, self._transaction, batch)

    def _set_patience(self, *, patient: bool) -> None:
        database.set_patience(self._writing, patient=patient)
        self._patient = patient

    def _read_batch(self, batch: Batch) -> list[UnitOutcome]:
        try:
            self._reading.execute("BEGIN")
            try:
                return [UnitOutcome(batch[0](self._reader))]
            finally:
                # Some errors end the transaction by themselves.
                if self._reading.in_transaction:
                    self._reading.execute("COMMIT")
        except sqlite3.Error as error:
            return [UnitOutcome(error=database.translate(error))]
        except Exception as error:  # noqa: BLE001  # it is the caller's, and goes there
            return [UnitOutcome(error=error)]

    def _ping(self) -> UnitOutcome:
        """Begin a transaction as a unit of work does, and write nothing in it."""
        try:
            self._writing.execute("BEGIN IMMEDIATE")
            self._writing.execute("ROLLBACK")
        except sqlite3.Error as error:
            return UnitOutcome(error=database.translate(error))
        return UnitOutcome()

    def _checkpoint(self) -> UnitOutcome:
        try:
            # Not TRUNCATE: commits to a log that grows take twice as long. Not RESTART:
            # that waits for a backup's reader, and holds up all writers. And no
            # ``PRAGMA optimize``: that takes 40 ms with 200,000 jobs, and no statement
            # leaves the planner a choice.
            self._writing.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except sqlite3.Error as error:
            return UnitOutcome(error=database.translate(error))
        return UnitOutcome()


def _open(path: Path) -> sqlite3.Connection:
    try:
        return database.open_writer(path, premigration.keep_copy)
    except StoreTooNewError as error:
        advice = premigration.way_back(path, database.schema_version())
        raise StoreTooNewError(f"{error}. {advice}") from None


def _PING(_tx: object) -> None:  # noqa: N802
    """Mark the place of a ping in the writer's queue."""
    raise StoreError("a ping is no unit of work")


def _CHECKPOINT(_tx: object) -> None:  # noqa: N802
    """Mark the place of a checkpoint in the writer's queue."""
    raise StoreError("a checkpoint is no unit of work")
