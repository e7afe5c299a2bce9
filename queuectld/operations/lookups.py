"""Lookups: what is read of the queue, each within one snapshot."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

from queuectl_protocol.vocabulary import JobState
from queuectld.core.errors import JobNotFoundError, JobNotYoursError, JobStateError
from queuectld.core.job import Attempt, Job
from queuectld.core.settings import Value
from queuectld.store.api import Histogram, Page, Reader

ATTEMPTS_SHOWN = 1000
"""Attempts in one view of a job: one with 100,000 retries must stay readable."""

AHEAD_COUNTED = 1000
"""Jobs that are counted before another: to count a million takes 50 ms."""

LATELY = 3_600_000
"""Milliseconds: the last hour."""

ROLLUP_ROWS = 5000
"""Rows of statistics added up in one read: about 10 ms, and then others have a turn."""


@dataclass(frozen=True, slots=True)
class JobView:
    """A job with its attempts, oldest first; the running one last, without an end.

    Attributes:
        env: its environment, where that was asked for.
        more: whether there are attempts before these.
    """

    job: Job
    attempts: list[Attempt]
    env: dict[str, str] | None
    more: bool = False


class Look(NamedTuple):
    """A job with one of its attempts; None when there is no such one."""

    job: Job
    attempt: Attempt | None


@dataclass(frozen=True, slots=True)
class Position:
    """Where a job stands among those that are ready.

    Attributes:
        ahead: how many are to be claimed before it, ``AHEAD_COUNTED`` at most.
        more: there are more than that.
    """

    job: Job
    ahead: int
    more: bool


@dataclass(frozen=True, slots=True)
class Vitals:
    """What a monitor looks at in the store.

    Attributes:
        counts: how many jobs are in each state.
        dead_lately: how many became dead within ``LATELY``.
        oldest_ready: milliseconds that a job has waited for a worker; None: none does.
    """

    counts: dict[JobState, int]
    dead_lately: int
    oldest_ready: int | None


@dataclass(frozen=True, slots=True)
class Tally:
    """How many jobs there are.

    Attributes:
        states: by state.
        delayed: how many of the pending and failed ones wait for their time.
    """

    states: dict[JobState, int]
    delayed: int

    @property
    def ready(self) -> int:
        """How many a free worker would take."""
        waiting = self.states[JobState.PENDING] + self.states[JobState.FAILED]
        return waiting - self.delayed


def find(
    reader: Reader,
    job_id: str,
    *,
    if_state: JobState | None = None,
    confined_to: int | None = None,
) -> Job:
    """Return a job.

    Args:
        reader: the snapshot.
        job_id: which.
        if_state: only if it is in this state.
        confined_to: only if this user enqueued it; None: whoever did.

    Raises:
        JobNotFoundError, JobNotYoursError, JobStateError: there is no such job.
    """
    job = reader.job(job_id)
    if job is None:
        raise JobNotFoundError(job_id)
    # In the same snapshot as what follows: an id can come to name another's job.
    if confined_to is not None and job.submitter != confined_to:
        raise JobNotYoursError(job_id)
    if if_state is not None and job.state is not if_state:
        raise JobStateError(
            job_id, job.state, f"job {job_id} is {job.state}, not {if_state}"
        )
    return job


def view(
    reader: Reader,
    job_id: str,
    *,
    env: bool = False,
    before: int | None = None,
    confined_to: int | None = None,
) -> JobView:
    """Return a job with its attempts, the last ``ATTEMPTS_SHOWN`` of them.

    Args:
        reader: the snapshot.
        job_id: which.
        env: with its environment.
        before: attempts with ``run`` under this only.
        confined_to: as for ``find``.
    """
    job = find(reader, job_id, confined_to=confined_to)
    known = reader.environment(job.env_key) if env and job.env_key else None
    attempts = reader.attempts(job.seq, before, ATTEMPTS_SHOWN + 1)
    running = _running_attempt(job)
    if running is not None and (before is None or running.run < before):
        attempts.append(running)
    shown = attempts[-ATTEMPTS_SHOWN:]
    return JobView(job, shown, known, more=len(attempts) > len(shown))


def look(
    reader: Reader,
    job_id: str,
    *,
    after: int | None = None,
    confined_to: int | None = None,
) -> Look:
    """Return a job with one attempt: its last, or the first after a ``run``."""
    job = find(reader, job_id, confined_to=confined_to)
    return Look(job, _attempt(reader, job, after))


def position(reader: Reader, job_id: str) -> Position:
    """Return a job, and how many are to be claimed before it."""
    job = find(reader, job_id)
    ahead = reader.ahead(job, AHEAD_COUNTED + 1) if job.due else 0
    return Position(job, min(ahead, AHEAD_COUNTED), more=ahead > AHEAD_COUNTED)


def page(
    reader: Reader, states: Collection[JobState] | None, before: int | None, limit: int
) -> Page:
    """Return a page of the jobs in these states, newest first; None: of all."""
    return reader.page(states, before, limit)


def running(reader: Reader) -> list[Job]:
    """Return the jobs in ``processing``."""
    return reader.running()


def counts(reader: Reader) -> dict[JobState, int]:
    """Return how many jobs are in each state."""
    return reader.counts()


def settings(reader: Reader) -> dict[str, Value]:
    """Return the settings that were set, without defaults."""
    return reader.settings()


def meta(reader: Reader, key: str) -> str | None:
    """Return a small value of the daemon's own."""
    return reader.meta(key)


def vitals(reader: Reader, now: int) -> Vitals:
    """Return what a monitor looks at in the store."""
    since = reader.oldest_ready()
    return Vitals(
        reader.counts(),
        reader.happened("dead", now - LATELY),
        None if since is None else max(0, now - since),
    )


def tally(reader: Reader) -> Tally:
    """Return how many jobs there are."""
    return Tally(reader.counts(), reader.delayed())


def rollup_slice(reader: Reader, since: int) -> tuple[dict[str, Histogram], int | None]:
    """Return some statistics, and the time from which on there are more."""
    end = reader.rollup_end(since, ROLLUP_ROWS)
    return reader.rollup(since, end), end


def _attempt(reader: Reader, job: Job, after: int | None) -> Attempt | None:
    running = _running_attempt(job)
    if after is not None:
        found = reader.attempt_after(job.seq, after)
        return found or (running if running and running.run > after else None)
    if running is not None:
        return running
    recorded = reader.attempts(job.seq, limit=1)
    return recorded[0] if recorded else None


def _running_attempt(job: Job) -> Attempt | None:
    if job.lease is None:
        return None
    return Attempt(job.runs, job.lease, job.worker, job.started_at, None)
