"""What can happen to a job, and the announcement that it has happened."""

from enum import StrEnum
from typing import NamedTuple

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


class Announcement(NamedTuple):
    """What an operation announces of a job once it is committed.

    Attributes:
        event: what happened, for the job log; None: the log has nothing to tell.
        job: the job as it is now, or was when it was deleted; None: there is none.
        end: how an attempt of it ended, where that was reported.
    """

    event: Event | None
    job: Job | None
    end: AttemptEnd | None = None
