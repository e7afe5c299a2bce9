"""Delete and prune: forget jobs that are over."""

from collections.abc import Sequence

from queuectl_protocol.vocabulary import JobState
from queuectld.core import lifecycle
from queuectld.core.errors import QueueError
from queuectld.core.fields import texts
from queuectld.core.job import Job
from queuectld.operations.done import Done
from queuectld.operations.lookups import JobView, find
from queuectld.store.api import Reader, Transaction

AT_ONCE = 25
"""Jobs that one step forgets: each takes three times as long as to add one, and whoever
enqueues meanwhile waits for one step, about a millisecond."""


def prunable(
    reader: Reader, states: Sequence[JobState], finished_before: int
) -> list[JobView]:
    """Return some jobs in final states that finished before a time, with attempts."""
    jobs = reader.prunable(states, finished_before, AT_ONCE)
    return [JobView(job, reader.attempts(job.seq), None) for job in jobs]


def deletable(
    reader: Reader,
    ids: Sequence[str],
    if_state: JobState | None,
    submitter: int | None,
) -> list[JobView | QueueError]:
    """Return jobs that may be forgotten, with attempts, or why they may not.

    Their texts are left out.
    """
    found: list[JobView | QueueError] = []
    for job_id in ids:
        try:
            job = find(reader, job_id, if_state=if_state, submitter=submitter)
            lifecycle.check_deletable(job)
        except QueueError as error:
            found.append(error)
        else:
            attempts = reader.attempts(job.seq)
            found.append(JobView(texts.without(job), attempts, None))
    return found


def delete(tx: Transaction, jobs: Sequence[Job]) -> Done[list[Job]]:
    """Forget jobs and their attempts, except those that changed; return the former."""
    gone = tx.delete(jobs)
    return gone, [(None, job, None) for job in gone]
