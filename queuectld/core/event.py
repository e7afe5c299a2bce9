"""What can happen to a job, and the announcement that it has happened."""

from enum import StrEnum

from queuectld.core.job import AttemptEnd, Job


class Event(StrEnum):
    """What can happen to a job."""

    ENQUEUE = "enqueue"
    CLAIM = "claim"
    SUCCEED = "succeed"
    FAIL = "fail"
    LOSE = "lose"
    INTERRUPT = "interrupt"
    CANCEL = "cancel"
    RETRY = "retry"
    START = "start"
    EXPIRE = "expire"


Announcement = tuple[Event | None, Job | None, AttemptEnd | None]
"""What an operation announces of a job once it is committed.

What happened, for the job log, or None if the log has nothing to tell; the job as it is
now, or was when it was deleted, or None if there is none; how an attempt of it ended,
where that was reported. Every job that runs has three of these: a plain tuple costs
nothing.
"""
