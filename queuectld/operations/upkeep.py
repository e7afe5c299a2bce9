"""What the daemon writes for itself: its id, its numbers, its statistics."""

from uuid import uuid4

from queuectld.operations.done import Done
from queuectld.store.api import Reader, Transaction

HOURS_AT_ONCE = 24
"""Hours of old statistics that one step merges."""

THINNING_WEIGHT = 1000
"""Jobs that are written in the time of such a step."""


def introduced(reader: Reader) -> tuple[str, int] | None:
    """Return the store's own id and when it was made, if it has them."""
    found, born = reader.meta("store_id"), reader.meta("created_at")
    return None if found is None or born is None else (found, int(born))


def introduce(tx: Transaction, now: int) -> Done[tuple[str, int]]:
    """Choose the store's own id; return it, and when the store was made."""
    found = str(uuid4())
    tx.set_meta("store_id", found)
    tx.set_meta("created_at", str(now))
    return (found, now), ()


def set_meta(tx: Transaction, key: str, value: str) -> Done[None]:
    """Store a small value of the daemon's own."""
    tx.set_meta(key, value)
    return None, ()


def number_workers(tx: Transaction, count: int) -> Done[list[int]]:
    """Return numbers that no worker ever had."""
    return [tx.next_worker() for _ in range(count)], ()


def thin_statistics(tx: Transaction, now: int) -> Done[bool]:
    """Merge some old statistics; return whether more is left to merge."""
    return tx.thin_statistics(now, HOURS_AT_ONCE), ()


def probe(_tx: Transaction) -> Done[None]:
    """Write nothing, in a commit of its own: can anything be written?"""
    return None, ()
