"""Change: cancel, retry or start jobs at somebody's request."""

from collections.abc import Sequence

from queuectl_protocol.vocabulary import JobState
from queuectld.core import lifecycle
from queuectld.core.errors import QueueError
from queuectld.core.event import Announcement, Event
from queuectld.core.fields import texts
from queuectld.core.job import Job
from queuectld.operations.done import Done
from queuectld.operations.lookups import find
from queuectld.store.api import Transaction

Outcome = Job | QueueError
"""What became of one of several jobs."""


def change(
    tx: Transaction,
    event: Event,
    ids: Sequence[str],
    *,
    if_state: JobState | None,
    submitter: int | None,
    now: int,
) -> Done[list[Outcome]]:
    """Cancel, retry or start jobs, each by itself, in the order given.

    Args:
        tx: the transaction.
        event: one of ``lifecycle.CHANGES``.
        ids: which jobs.
        if_state: only those that are in this state.
        submitter: only those that this user enqueued; None: whoever did.
        now: the present.

    Returns:
        Each job, or why it was not changed. Of several jobs the texts are left out:
        they may come to gigabytes.
    """
    outcomes: list[Outcome] = []
    news: list[Announcement] = []
    for job_id in ids:
        try:
            job = find(tx, job_id, if_state=if_state, submitter=submitter)
            changed = lifecycle.CHANGES[event](job, now=now)
        except QueueError as error:
            outcomes.append(error)
            continue
        tx.update(job, changed)
        if changed.state is JobState.CANCELLED:
            tx.measure("cancelled", now)
        told = changed if len(ids) == 1 else texts.without(changed)
        outcomes.append(told)
        news.append((event, told, None))
    return outcomes, news or None
