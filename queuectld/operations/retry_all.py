"""Retry all: retry the jobs that are in a state, in bounded steps."""

from typing import NamedTuple

from queuectl_protocol.vocabulary import JobState
from queuectld.core import lifecycle
from queuectld.core.event import Announcement, Event
from queuectld.operations.done import Done
from queuectld.store.api import Transaction

CHUNK = 1000
"""Jobs that one step retries."""


class Retried(NamedTuple):
    """What one step did.

    Attributes:
        retried: how many jobs were retried.
        skipped: how many were left because they were not meant.
        last: sequence number of the last job looked at; None: there are no more.
    """

    retried: int
    skipped: int
    last: int | None


def retry_some(
    tx: Transaction,
    state: JobState,
    *,
    after: int,
    upto: int,
    foreground: bool | None,
    now: int,
) -> Done[Retried]:
    """Retry some of the jobs in a state, oldest first.

    Args:
        tx: the transaction.
        state: the state.
        after: the sequence number before the first.
        upto: the last one.
        foreground: only those that are so, or are not; None: all.
        now: the present.
    """
    found = [job for job in tx.in_state(state, CHUNK, after) if job.seq <= upto]
    news: list[Announcement] = []
    for job in found:
        if foreground in {None, job.foreground}:
            again = lifecycle.retry(job, now=now)
            tx.update(job, again)
            news.append((Event.RETRY, again, None))
    last = found[-1].seq if found else None
    return Retried(len(news), len(found) - len(news), last), news
