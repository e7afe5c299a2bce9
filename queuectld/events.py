"""Tells of every committed change of a job whoever watches it.

All of them pass ``publish``: it wakes the watchers of the job and whoever waits for the
end of a cancelled attempt, tells the scheduler of a job that waits, and the job log.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from queuectld.core.errors import JobNotFoundError, QueueError
from queuectld.core.event import Announcement, Event
from queuectld.core.job import Job
from queuectld.host import job_log


class CommitObserver(Protocol):
    """Who is told what was committed, right after it was."""

    def job_waits(self, run_at: int | None) -> None:
        """A job waits: for a worker (None), or for a time (milliseconds).

        At that time it becomes ready, or expires.
        """

    def written(self) -> None:
        """There was a committed write."""

    def in_doubt(self) -> None:
        """Nobody knows whether a write was committed: any job may wait now."""


class Events:
    """Who watches what."""

    def __init__(self, observer: CommitObserver) -> None:
        self._watchers: dict[int, set[asyncio.Event]] = {}
        # By lease: cancelled attempts that go on, with the job's id.
        self._cancelled: dict[int, tuple[str, asyncio.Future[Job | QueueError]]] = {}
        self._observer = observer

    @contextmanager
    def watch(self, seq: int) -> Iterator[asyncio.Event]:
        """Give an event that is set at each committed change of a job.

        Register first, then read the job, then wait: no change is missed.
        """
        changed = asyncio.Event()
        self._watchers.setdefault(seq, set()).add(changed)
        try:
            yield changed
        finally:
            watchers = self._watchers[seq]
            watchers.discard(changed)
            if not watchers:
                del self._watchers[seq]

    def end_of(self, job: Job) -> asyncio.Future[Job | QueueError]:
        """Return what becomes of a job that was cancelled, for whoever waits for it.

        It is the job as the end of that attempt leaves it, whatever comes after, such
        as a retry. To be called with the job as the cancel has returned it, before
        anything else is waited for.
        """
        if job.lease is not None and job.lease in self._cancelled:
            _, end = self._cancelled[job.lease]
        else:
            end = asyncio.get_running_loop().create_future()
            end.set_result(job)
        return asyncio.shield(end)

    def publish(self, announcements: Sequence[Announcement] | None) -> None:
        """Tell everybody of a committed write; to be called in the order of commits.

        None: what was committed changed nothing.
        """
        if announcements is None:
            return
        self._observer.written()
        if not announcements:
            return
        for event, job, end in announcements:
            if job is not None:
                if job.due is not None:
                    self._observer.job_waits(None if job.due else job.run_at)
                    if job.expires is not None:
                        self._observer.job_waits(job.expires)
                for changed in self._watchers.get(job.seq, ()):
                    changed.set()
                if event is Event.CANCEL and job.lease is not None:
                    self._expect_end(job.lease, job.id)
            if end is not None and end.lease in self._cancelled:
                job_id, waiting = self._cancelled.pop(end.lease)
                waiting.set_result(job or JobNotFoundError(job_id))
        job_log.tell(announcements)

    def doubt(self) -> None:
        """Have everybody look: any write may have been committed, or not."""
        for watchers in self._watchers.values():
            for changed in watchers:
                changed.set()
        self._observer.in_doubt()

    def _expect_end(self, lease: int, job_id: str) -> None:
        # The end of this lease has not been announced yet: announcements come in the
        # order of the commits, and nothing is waited for in between.
        if lease not in self._cancelled:
            end = asyncio.get_running_loop().create_future()
            self._cancelled[lease] = job_id, end
