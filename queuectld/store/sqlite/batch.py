"""Group commit: many units of work in one transaction, each able to fail alone.

    BEGIN IMMEDIATE
      SAVEPOINT unit; work(tx); RELEASE unit      for each, ROLLBACK TO when it raises
    COMMIT                                        once, synced
    answers                                       only then

When SQLite rolls the whole transaction back, as it does on a full disk, the savepoints
are gone too. The batch is then run again one unit at a time, so that a unit that does
not fit does not fail the others.
"""

import math
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from queuectld.store.api import OutcomeUnknownError, StoreError
from queuectld.store.sqlite import connection as database
from queuectld.store.sqlite.transaction import SqliteTransaction

Batch = list[Callable[[Any], Any]]


@dataclass(slots=True)
class UnitOutcome:
    """What a unit of work came to: a result, or the error it ended with."""

    result: Any = None
    error: Exception | None = None


def run_batch(
    connection: sqlite3.Connection, tx: SqliteTransaction, batch: Batch
) -> list[UnitOutcome]:
    """Run and commit the batch; return an outcome for each unit, in order."""
    try:
        return _commit_together(connection, tx, batch)
    except StoreError as error:
        # Unknown outcome: to run the units again might do everything twice.
        return [UnitOutcome(error=error) for _ in batch]
    except Exception as error:  # noqa: BLE001  # whatever it is: none may hang
        _roll_back(connection, tx)
        if len(batch) == 1:
            return [UnitOutcome(error=database.translate(error))]
    return [run_batch(connection, tx, [work])[0] for work in batch]


def try_batch(
    connection: sqlite3.Connection, tx: SqliteTransaction, batch: Batch
) -> list[UnitOutcome] | None:
    """Run and commit the batch once, without waiting; None: nothing of it happened.

    Then it is a case for ``run_batch``, where there is time to wait for a lock, or to
    try each unit on a disk that takes long to fail.
    """
    try:
        return _commit_together(connection, tx, batch)
    except StoreError as error:
        return [UnitOutcome(error=error) for _ in batch]
    except Exception:  # noqa: BLE001  # run_batch gets it again, and answers
        _roll_back(connection, tx)
        return None


def _commit_together(
    connection: sqlite3.Connection, tx: SqliteTransaction, batch: Batch
) -> list[UnitOutcome]:
    connection.execute("BEGIN IMMEDIATE")
    outcomes = [_run_unit(connection, tx, work) for work in batch]
    tx.flush()
    begun = time.monotonic()
    try:
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        tx.commit_took = math.inf  # so it does not count as quick
        if not _happened(connection, tx, error):
            raise
    else:
        tx.commit_took = time.monotonic() - begun
    return outcomes


def _happened(
    connection: sqlite3.Connection, tx: SqliteTransaction, failure: sqlite3.Error
) -> bool:
    """Return whether a commit that reported an error took place all the same."""
    try:
        _roll_back(connection, tx)
        return tx.committed_batch() == tx.batch
    except sqlite3.Error:
        message = f"nobody knows whether it was stored: the commit said {failure}"
        raise OutcomeUnknownError(message) from failure


def _run_unit(
    connection: sqlite3.Connection, tx: SqliteTransaction, work: Callable[[Any], Any]
) -> UnitOutcome:
    connection.execute("SAVEPOINT unit")
    try:
        result = work(tx)
    except sqlite3.Error:
        # Whether the transaction is still there depends on the error; run_batch
        # starts over either way.
        raise
    except Exception as error:  # noqa: BLE001  # it is the caller's, and goes there
        tx.drop_unit()
        connection.execute("ROLLBACK TO unit")
        connection.execute("RELEASE unit")
        return UnitOutcome(error=error)
    connection.execute("RELEASE unit")
    tx.keep_unit()
    return UnitOutcome(result)


def _roll_back(connection: sqlite3.Connection, tx: SqliteTransaction) -> None:
    tx.drop_batch()
    if connection.in_transaction:
        connection.execute("ROLLBACK")
