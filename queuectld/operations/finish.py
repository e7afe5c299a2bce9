"""Finish: record how an attempt ended, and claim the worker's next job with it."""

from typing import NamedTuple

from queuectl_protocol.vocabulary import JobState, Reason
from queuectld.core import lifecycle
from queuectld.core.event import Announcement, Event
from queuectld.core.job import Assignment, AttemptEnd, Job
from queuectld.core.lifecycle import Ending
from queuectld.operations import claim
from queuectld.operations.done import Done
from queuectld.store.api import Transaction

_COUNTED = {
    JobState.COMPLETED: "completed",
    JobState.DEAD: "dead",
    JobState.CANCELLED: "cancelled",
    JobState.FAILED: "retried",
}
"""The metric that counts an end which leads to this state."""


class Recorded(NamedTuple):
    """The end of an attempt as it was recorded.

    Attributes:
        job: the job after it; None when the lease was not the current one, and the
            result therefore refused.
        next: what the worker runs next, claimed in the same transaction.
    """

    job: Job | None
    next: Assignment | None


def finish(
    tx: Transaction,
    seq: int,
    end: AttemptEnd,
    *,
    claimed: Job | None,
    in_doubt: bool,
    asked: bool,
    next_for: int | None,
    least_lease: int,
    now: int,
    random: float,
) -> Done[Recorded]:
    """Record the end of an attempt, if its lease is the job's current one.

    Args:
        tx: the transaction.
        seq: the job.
        end: how the attempt ended.
        claimed: the job as it was claimed for this attempt: it need not be read, as
            long as nobody cancelled it meanwhile.
        in_doubt: an earlier try may have been committed without anybody knowing.
        asked: whether somebody had asked for the interruption, if it is one.
        next_for: the worker for which the next job is claimed; None: for none.
        least_lease: as for ``claim``.
        now: the present.
        random: from 0 up to 1, for the jitter of a retry.
    """
    job = there = ending = None
    news: list[Announcement]
    # Do not use ``claimed`` if it is another job's.
    if claimed is not None and claimed.seq == seq:
        ending = _record(tx, claimed, end, asked=asked, now=now, random=random)
    if ending is None:
        there = tx.job_by_seq(seq)
        if there is not None and there.lease == end.lease:
            ending = _record(tx, there, end, asked=asked, now=now, random=random)
    if ending is not None:
        job, news = ending.job, [(ending.event, ending.job, ending.end)]
    elif in_doubt:
        # An earlier try may have been committed. Those who wait were not told then,
        # so they are told now.
        known = _is_last_on_record(tx, seq, end.lease)
        job = there if known else None
        news = [(lifecycle.event_of(end) if known else None, there, end)]
    else:
        news = [(None, None, end)]
    following = None
    if next_for is not None and (ready := claim.startable(tx, 1, now)):
        following = claim.assign(
            tx, ready[0], next_for, least_lease=least_lease, now=now
        )
        news.append((Event.CLAIM, following.job, None))
    return Recorded(job, following), news


def _record(
    tx: Transaction,
    job: Job,
    end: AttemptEnd,
    *,
    asked: bool,
    now: int,
    random: float,
) -> Ending | None:
    """Write what the end of the job's attempt leads to; None: the job has changed."""
    ending = lifecycle.finish(job, end, now=now, random=random, asked=asked)
    event, end, finished = ending
    if not tx.update(job, finished):
        return None
    tx.insert_attempt(job, end)
    if finished.state in _COUNTED:
        tx.measure(_COUNTED[finished.state], now)
    if event is Event.FAIL or event is Event.LOSE:
        tx.measure("failed", now)
    if end.reason is Reason.LOST:
        tx.measure("lost", now)
    if end.started_at is not None:
        tx.measure("run", now, max(0, end.finished_at - end.started_at))
    return ending


def _is_last_on_record(tx: Transaction, seq: int, lease: int) -> bool:
    """Return whether the attempt under this lease is the job's last on record."""
    last = tx.attempts(seq, limit=1)
    return bool(last) and last[0].lease == lease
