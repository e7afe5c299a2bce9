"""Long reads of the whole database beside the work: copying it, and examining it.

Each has a connection of its own that only reads, and runs in one of a few threads, so
that nobody else waits for it. It ends when the task that asked for it is cancelled.
While it lasts the log grows: it cannot be emptied.
"""

import contextlib
import errno
import os
import secrets
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TypeVar

from queuectld.host.thread_pool import ThreadPool
from queuectld.store.api import (
    COPIED_AT,
    BackupError,
    BackupExistsError,
    StoreError,
    StoreFullError,
)
from queuectld.store.sqlite import connection as database
from queuectld.store.sqlite import queries
from queuectld.store.sqlite.reader import SqliteReader

T = TypeVar("T")

MOST_PROBLEMS = 20
"""Sentences about damage: the first few say enough."""

_AT_ONCE = 2
"""Copies at a time, and examinations: each reads the disk as fast as it can."""

_DRAFT = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Maintenance:
    """All copies and examinations of one database."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._readings: set[_Reading] = set()
        self._closed = False
        self._copying = ThreadPool("backup", _AT_ONCE)
        self._examining = ThreadPool("examine", _AT_ONCE)

    async def backup(
        self, target: Path, *, replace: bool, wall: Callable[[], int] | None
    ) -> int:
        """Write a copy; see ``Store.backup``."""
        try:
            return await self._run(
                self._copying,
                partial(copy, target=target, replace=replace, wall=wall),
            )
        except StoreFullError:
            raise StoreFullError(
                f"there is no room for the copy in {target.parent}; nothing is left of "
                "it there"
            ) from None

    async def examine(self) -> list[str]:
        """Return what is wrong with the database; see ``Store.examine``."""
        return await self._run(self._examining, examine)

    def close(self) -> None:
        """End all of them; whoever waits for one gets a StoreError."""
        self._closed = True
        for reading in self._readings:
            reading.end()

    async def _run(
        self, pool: ThreadPool, work: Callable[[sqlite3.Connection], T]
    ) -> T:
        if self._closed:
            raise StoreError("the store is closed")
        reading = _Reading(self._path)
        self._readings.add(reading)
        try:
            return await pool.run(reading.run, work)
        except sqlite3.Error as error:
            raise database.translate(error) from error
        finally:
            # If this task was cancelled, the thread is still at work.
            reading.end()
            self._readings.discard(reading)


class _Reading:
    """One copy or examination: ``run`` in a thread, ``end`` from any other."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._ended = False

    def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with closing(database.open_for_maintenance(self._path)) as connection:
            self._connection = connection
            try:
                if self._ended:
                    raise StoreError("the store is closed")
                return work(connection)
            finally:
                self._connection = None

    def end(self) -> None:
        self._ended = True
        connection = self._connection
        if connection is not None:
            # It may be closed at this very moment.
            with contextlib.suppress(sqlite3.ProgrammingError):
                connection.interrupt()


def copy(
    connection: sqlite3.Connection,
    target: Path,
    *,
    replace: bool,
    wall: Callable[[], int] | None = None,
) -> int:
    """Write a consistent copy; return its size in bytes.

    Under the name ``target`` is a whole copy or none.
    """
    draft = target.with_name(f".queuectl-{secrets.token_hex(8)}.tmp")
    try:
        _check_free(target, replace=replace)
        os.close(os.open(draft, _DRAFT, 0o600))
        # As bytes: a path need not be UTF-8.
        connection.execute("VACUUM INTO CAST(? AS TEXT)", (os.fsencode(draft),))
        if wall is not None:
            _mark(draft, wall())
        _sync(draft)
        size = draft.stat().st_size
        _publish(draft, target, replace=replace)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StoreFullError from error
        why = error.strerror or str(error)
        raise BackupError(f"cannot write the copy {target}: {why}") from error
    finally:
        draft.unlink(missing_ok=True)
    return size


def _mark(draft: Path, now: int) -> None:
    """Write into a copy that it is one, and when it was made."""
    with closing(sqlite3.connect(os.fsencode(draft), isolation_level=None)) as made:
        # No journal: nobody else has the draft, and an unfinished one is deleted.
        made.execute("PRAGMA journal_mode = OFF")
        made.execute(queries.load().set_meta, (COPIED_AT, str(now)))


def _check_free(target: Path, *, replace: bool) -> None:
    if not os.path.lexists(target):
        return
    if target.is_symlink() or not target.is_file():
        raise BackupError(f"{target} is no regular file, and is not replaced")
    if not replace:
        raise BackupExistsError(target)


def _publish(draft: Path, target: Path, *, replace: bool) -> None:
    if replace:
        draft.rename(target)
    else:
        # Not a rename, which would replace a file that was created meanwhile.
        try:
            target.hardlink_to(draft)
        except FileExistsError:
            raise BackupExistsError(target) from None
        except OSError:
            # A file system without hard links.
            _check_free(target, replace=False)
            draft.rename(target)
    _sync(target.parent)


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def examine(connection: sqlite3.Connection) -> list[str]:
    """Return a sentence for each thing that is wrong, none when all is well."""
    connection.execute("BEGIN")
    checked = connection.execute(f"PRAGMA integrity_check({MOST_PROBLEMS})")
    problems = [str(row[0]) for row in checked if row[0] != "ok"]
    if problems:
        return problems
    reader = SqliteReader(connection)
    there, noted = reader.recount(), reader.counts()
    problems = [
        f"{there[state]} jobs are {state}, and {noted[state]} are counted"
        for state in there
        if there[state] != noted[state]
    ]
    delayed, counted = reader.recount_delayed(), reader.delayed()
    if delayed != counted:
        problems.append(
            f"{delayed} jobs wait for their time, and {counted} are counted"
        )
    return problems
