"""Promote: make jobs ready whose time has come, and cancel those that have expired."""

from queuectld.core import lifecycle
from queuectld.core.event import Announcement, Event
from queuectld.operations.done import Done
from queuectld.store.api import Transaction

CHUNK = 1000
"""Jobs that one step makes ready."""


EXPIRED_AT_ONCE = 250
"""Jobs that one step cancels: each is read and written by itself."""


def promote(tx: Transaction, now: int) -> Done[int | None]:
    """Expire and promote a limited number of jobs; return the time of the next one.

    That time may be in the past.
    """
    news: list[Announcement] = []
    for job in tx.expired(now, EXPIRED_AT_ONCE):
        ended = lifecycle.expire(job, now=now)
        tx.update(job, ended)
        tx.measure("cancelled", now)
        news.append((Event.EXPIRE, ended, None))
    tx.promote(now, CHUNK)
    times = (tx.next_run_at(), tx.next_expiry())
    return min((at for at in times if at is not None), default=None), news
