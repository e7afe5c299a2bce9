"""What is in the database's file itself, without the log beside it."""

import sqlite3
from contextlib import closing
from pathlib import Path


def state_of(database: Path, job: str) -> str | None:
    """Return the state of a job as it stood when the log was last moved there."""
    file = f"{database.as_uri()}?immutable=1"
    with closing(sqlite3.connect(file, uri=True)) as connection:
        there = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'jobs'")
        if there.fetchone() is None:
            return None
        row = connection.execute("SELECT state FROM jobs WHERE seq = ?", (job,))
        found: tuple[str] | None = row.fetchone()
        return found and found[0]
