"""Enqueue: add jobs, all of them or none."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from queuectl_protocol.vocabulary import JobState
from queuectld.core import lifecycle, limits, new_job, submission
from queuectld.core.errors import (
    InvalidJobError,
    JobConflictError,
    JobExistsError,
    JobTakenError,
    QueueFullError,
)
from queuectld.core.event import Announcement, Event
from queuectld.core.fields import texts
from queuectld.core.fields.table import value_of
from queuectld.core.job import Job, Submission
from queuectld.core.limits import Limits, Means
from queuectld.core.settings import Settings
from queuectld.operations.done import Done
from queuectld.store.api import Transaction

BYTES_OF_A_JOB = 10_000
"""Bytes of commands and directories that take as long to write as a small job."""


class IfExists(StrEnum):
    """What enqueue does when the id is taken."""

    ERROR = "error"
    RETURN = "return"


class Enqueued(NamedTuple):
    """A job that was added, or that was there already (``created`` is false)."""

    job: Job
    created: bool


def weight(submissions: Sequence[Submission]) -> int:
    """Return how many small jobs are written as fast as these submissions."""
    size = sum(map(texts.byte_count, submissions))
    return max(len(submissions), size // BYTES_OF_A_JOB)


def enqueue(
    tx: Transaction,
    submissions: Sequence[Submission],
    *,
    settings: Settings,
    if_exists: IfExists,
    means: Means,
    now: int,
) -> Done[list[Enqueued]]:
    """Add the submissions, all or none.

    Args:
        tx: the transaction.
        submissions: what is asked for.
        settings: the job settings in force, for what a submission leaves out.
        if_exists: what to do about an id that is taken.
        means: the limits that can be enforced here.
        now: the present.

    Raises:
        JobExistsError, JobConflictError, JobTakenError: an id is taken.
        QueueFullError: ``max_queued`` jobs wait already.
        InvalidJobError: a limit of a job cannot be enforced here, or it has expired.
    """
    counts = tx.counts()
    room = settings.max_queued - counts[JobState.PENDING] - counts[JobState.FAILED]
    done: list[Enqueued] = []
    announcements: list[Announcement] = []
    env = env_key = None
    for index, asked in enumerate(submissions):
        existing = None if asked.id is None else tx.job(asked.id)
        if existing is not None:
            _check_existing(existing, asked, if_exists, index)
            done.append(Enqueued(existing, created=False))
            announcements.append((None, existing, None))
            continue
        room -= 1
        if room < 0:
            raise QueueFullError(settings.max_queued)
        if asked.expires is not None:
            _check_startable(asked, now, index)
        limited = new_job.limits_of(asked, settings)
        if limited is not limits.NONE:
            _check_enforceable(limited, asked, means, index)
        if asked.env is not env:  # the jobs of a batch share one
            env = asked.env
            env_key = None if env is None else tx.keep_environment(env)
        job = lifecycle.enqueue(
            asked, settings, now=now, seq=tx.next_seq(), env_key=env_key
        )
        tx.insert(job)
        done.append(Enqueued(job, created=True))
        announcements.append((Event.ENQUEUE, job, None))
    return done, announcements


def _check_existing(
    job: Job, asked: Submission, if_exists: IfExists, index: int
) -> None:
    """Refuse a submission that does not ask for the very job that has its id."""
    another = _belongs_to_another(job, asked)
    if if_exists is IfExists.ERROR:
        raise JobExistsError(job.id, index, anothers=another)
    # First, so that nobody learns by it what another user's job is like.
    if another:
        raise JobTakenError(job.id, index)
    for field in submission.IDENTITY:
        value = getattr(asked, field)
        if value is not None and value != value_of(job, field):
            raise JobConflictError(job.id, field, index)


def _belongs_to_another(job: Job, asked: Submission) -> bool:
    """Return whether the job runs as another user than this submission would.

    A job that runs as its submitter has groups. Where all jobs run as the daemon's
    user, it is the same job whoever asks for it.
    """
    as_submitter = job.groups is not None or asked.groups is not None
    return as_submitter and job.submitter != asked.submitter


def _check_startable(asked: Submission, now: int, index: int) -> None:
    """Refuse a new job that has expired before it can be started."""
    try:
        submission.check_startable(asked, now)
    except InvalidJobError as error:
        error.index = index
        raise


def _check_enforceable(
    limited: Limits, asked: Submission, means: Means, index: int
) -> None:
    """Refuse a new job whose limits cannot be enforced here."""
    if refused := limits.refusal(limited, means):
        field, sentence = refused
        if getattr(asked, field) is None:
            sentence += f"; it comes from the settings: queuectl config unset {field}"
        raise InvalidJobError(field, sentence, index)
