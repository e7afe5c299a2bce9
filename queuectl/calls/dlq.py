"""The dead letter queue: the methods of ``Client.dlq``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from queuectl.calls import jobs
from queuectl.calls.call import Call, Part
from queuectl.submission import Seconds
from queuectl_protocol.vocabulary import JobState

if TYPE_CHECKING:
    from queuectl.models import Changed, Job

DEAD = JobState.DEAD


def list_(*, limit: int | None = None) -> Call[Part[Job]]:
    """Yield the dead jobs, newest first; at most ``limit``."""
    return jobs.list_(DEAD, limit=limit)


def retry(job_id: str) -> Call[Job]:
    """Make a dead job pending again, with its whole retry budget.

    Raises:
        InvalidStateError: the job is not dead.
    """
    return jobs.retry(job_id, if_state=DEAD)


def retry_many(job_ids: Iterable[str]) -> list[Call[tuple[Changed, ...]]]:
    """Retry those of these jobs that are dead; return the result for each."""
    return jobs.retry_many(job_ids, if_state=DEAD)


def delete_many(job_ids: Iterable[str]) -> list[Call[tuple[Changed, ...]]]:
    """Delete those of these jobs that are dead; return the result for each."""
    return jobs.delete_many(job_ids, if_state=DEAD)


def retry_all(*, foreground: bool | None = None) -> Call[int]:
    """Retry all dead jobs; return how many there were.

    Args:
        foreground: as for ``Client.retry_all``.
    """
    return jobs.retry_all(DEAD, foreground=foreground)


def purge(*, older_than: Seconds = 0) -> Call[int]:
    """Delete the jobs that have been dead for so long; return how many."""
    return jobs.prune([DEAD], older_than=older_than)
