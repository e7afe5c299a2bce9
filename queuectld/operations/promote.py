"""Promote: make jobs ready whose time has come."""

from queuectld.operations.done import Done
from queuectld.store.api import Transaction

CHUNK = 1000
"""Jobs that one step makes ready."""


def promote(tx: Transaction, now: int) -> Done[int | None]:
    """Make some jobs ready; return the time of the next, which may be in the past."""
    tx.promote(now, CHUNK)
    return tx.next_run_at(), ()
