"""SQLite files as the store leaves them, seen from outside."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

from helpers.stores import add
from queuectld.store.sqlite.store import SqliteStore


def open_and_close(path: Path, jobs: int = 0) -> None:
    """Open the store there as the daemon does, add some jobs, close it."""

    async def run() -> None:
        store = SqliteStore(path)
        try:
            for _ in range(jobs):
                await add(store)
        finally:
            await store.close()

    asyncio.run(run())


def ask(path: Path, sql: str) -> list[tuple[object, ...]]:
    """Ask the closed database something, from outside."""
    with closing(sqlite3.connect(path)) as outside:
        return outside.execute(sql).fetchall()


def files(path: Path) -> dict[str, bytes]:
    """Return the content of all files beside the database, and its own.

    Except for the -shm file: an index of the log, which every reader may make.
    """
    return {
        file.name: file.read_bytes()
        for file in path.parent.iterdir()
        if file.is_file() and not file.name.endswith("-shm")
    }


def state_of(database: Path, job: str) -> str | None:
    """Return the state of a job in the database's file alone, without its log.

    None if the file has no such job yet, or cannot be read because the log is being
    moved there: with some pages old and some new it looks damaged.
    """
    file = f"{database.as_uri()}?immutable=1"
    with closing(sqlite3.connect(file, uri=True)) as connection:
        try:
            row = connection.execute("SELECT state FROM jobs WHERE seq = ?", (job,))
            found: tuple[str] | None = row.fetchone()
        except sqlite3.DatabaseError:  # that, or: no such table
            return None
        return found and found[0]
