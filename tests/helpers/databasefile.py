"""What is in the database's file itself, without the log beside it."""

import sqlite3
from contextlib import closing
from pathlib import Path


def state_of(database: Path, job: str) -> str | None:
    """Return the state of a job as it stood when the log was last moved there.

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
