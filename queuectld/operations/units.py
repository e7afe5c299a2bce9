"""Units of work: what the broker's operations do to the store, as plain functions.

Each takes a transaction, or a reader where it only looks, and is where ``core``, which
decides, and ``store``, which keeps, meet. A unit runs in the store's thread, perhaps
more than once: it touches nothing in memory.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import uuid4

from queuectl_protocol.vocabulary import JobState, Reason
from queuectld.core import lifecycle, limits, new_job
from queuectld.core.errors import (
    InvalidJobError,
    JobConflictError,
    JobExistsError,
    JobNotFoundError,
    JobNotYoursError,
    JobStateError,
    JobTakenError,
    QueueError,
    QueueFullError,
)
from queuectld.core.fields.table import value
from queuectld.core.job import (
    Assignment,
    Attempt,
    AttemptEnd,
    Job,
    Submission,
    without_texts,
)
from queuectld.core.lifecycle import Event
from queuectld.core.limits import Means
from queuectld.core.settings import Settings, Value
from queuectld.core.submission import IDENTITY
from queuectld.store.api import Histogram, Measure, Reader, Transaction

CHUNK = 1000
"""Jobs changed in one unit of work by the commands that change them all."""

PRUNED_AT_ONCE = 25
"""Jobs that are forgotten in one unit of work: each takes three times as long as to
add one, and whoever enqueues meanwhile waits for one unit, about a millisecond."""

ATTEMPTS_SHOWN = 1000
"""Attempts in one view of a job: 100,000 retries must not make it one for nobody."""

ROLLUP_ROWS = 5000
"""Rows of statistics added up in one read: about 10 ms, and then others have a turn."""


AHEAD_COUNTED = 1000
"""Jobs that are counted before another: to count a million takes 50 ms."""


LATELY = 3_600_000
"""Milliseconds: the last hour."""


class IfExists(StrEnum):
    """What enqueue does when the id is taken."""

    ERROR = "error"
    RETURN = "return"


@dataclass(frozen=True, slots=True)
class Enqueued:
    """A job that was enqueued, or was there already."""

    job: Job
    created: bool


@dataclass(frozen=True, slots=True)
class JobView:
    """A job with its attempts, oldest first; the running one last, without an end.

    Attributes:
        more: whether there are attempts before these.
    """

    job: Job
    attempts: list[Attempt]
    env: dict[str, str] | None
    more: bool = False


@dataclass(frozen=True, slots=True)
class Look:
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
        delayed: of those that wait, pending and failed, how many do for their time.
    """

    states: dict[JobState, int]
    delayed: int

    @property
    def ready(self) -> int:
        """Those that a free worker would take."""
        waiting = self.states[JobState.PENDING] + self.states[JobState.FAILED]
        return waiting - self.delayed


@dataclass(frozen=True, slots=True)
class Finished:
    """An attempt's end as it was recorded.

    Attributes:
        job: the job after it; None when the lease was not the current one, and the
            result therefore refused.
        next: what the worker runs next, claimed in the same transaction.
    """

    job: Job | None
    next: Assignment | None


def introduced(reader: Reader) -> tuple[str, int] | None:
    """Return the store's own id and when it was made, if it has them."""
    found, born = reader.meta("store_id"), reader.meta("created_at")
    return None if found is None or born is None else (found, int(born))


def introduce(tx: Transaction, now: int) -> tuple[str, int]:
    """Choose the store's own id; return it, and when the store was made."""
    found = str(uuid4())
    tx.set_meta("store_id", found)
    tx.set_meta("created_at", str(now))
    return found, now


def enqueue(
    tx: Transaction,
    submissions: Sequence[Submission],
    in_force: Settings,
    if_exists: IfExists,
    *,
    now: int,
    means: Means,
) -> list[Enqueued]:
    """Add the submissions, all or none; ``means`` is what they can be held to."""
    counts = tx.counts()
    room = in_force.max_queued - counts[JobState.PENDING] - counts[JobState.FAILED]
    done = []
    for index, submission in enumerate(submissions):
        there = None if submission.id is None else tx.job(submission.id)
        if there is not None:
            if if_exists is IfExists.ERROR:
                anothers = _is_anothers(there, submission)
                raise JobExistsError(there.id, index, anothers=anothers)
            _check_same(there, submission, index)
            done.append(Enqueued(there, created=False))
            continue
        room -= 1
        if room < 0:
            raise QueueFullError(in_force.max_queued)
        _check_enforceable(submission, in_force, means, index)
        done.append(Enqueued(tx.insert(submission, in_force, now), created=True))
    return done


def _check_same(job: Job, submission: Submission, index: int) -> None:
    # First, so that nobody learns by it what another user's job is like.
    if _is_anothers(job, submission):
        raise JobTakenError(job.id, index)
    for field in IDENTITY:
        asked = getattr(submission, field)
        if asked is not None and asked != value(job, field):
            raise JobConflictError(job.id, field, index)


def _is_anothers(job: Job, submission: Submission) -> bool:
    """Whether it runs as somebody else than this submission would.

    Who runs as the submitter has groups. Where all jobs run as the daemon, it is the
    same job whoever asks for it.
    """
    as_submitter = job.groups is not None or submission.groups is not None
    return as_submitter and job.submitter != submission.submitter


def _check_enforceable(
    submission: Submission, in_force: Settings, means: Means, index: int
) -> None:
    """Refuse a job that relies on what is not there.

    Only one that is new: whoever asks again for one that was taken is told of that.
    """
    asked = new_job.limits_of(submission, in_force)
    if asked is limits.NONE:
        return
    if refused := limits.refusal(asked, means):
        field, sentence = refused
        if getattr(submission, field) is None:
            sentence += f"; it comes from the settings: queuectl config unset {field}"
        raise InvalidJobError(field, sentence, index)


def attempts_of(reader: Reader, job: Job, before: int | None) -> list[Attempt]:
    """Return the last attempts before a run, one more than are shown."""
    attempts = reader.attempts(job.seq, before, ATTEMPTS_SHOWN + 1)
    running = _running_attempt(job)
    if running is not None and (before is None or running.run < before):
        attempts.append(running)
    return attempts


def attempt_after(reader: Reader, job: Job, after: int | None) -> Attempt | None:
    """Return the first attempt after a run, or the last of all."""
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


def rollup_slice(reader: Reader, since: int) -> tuple[dict[str, Histogram], int | None]:
    """Return some statistics, and from when on there are more."""
    end = reader.rollup_end(since, ROLLUP_ROWS)
    return reader.rollup(since, end), end


def find(
    reader: Reader,
    job_id: str,
    if_state: JobState | None = None,
    submitter: int | None = None,
) -> Job:
    """Return a job, if it is in that state and this submitter may have it."""
    job = reader.job(job_id)
    if job is None:
        raise JobNotFoundError(job_id)
    # In the same snapshot as what follows: an id can come to name another's job.
    if submitter is not None and job.submitter != submitter:
        raise JobNotYoursError(job_id)
    if if_state is not None and job.state is not if_state:
        raise JobStateError(
            job_id, job.state, f"job {job_id} is {job.state}, not {if_state}"
        )
    return job


def position(reader: Reader, job_id: str) -> Position:
    """Return a job, and how many are to be claimed before it."""
    job = find(reader, job_id)
    ahead = reader.ahead(job, AHEAD_COUNTED + 1) if job.due else 0
    return Position(job, min(ahead, AHEAD_COUNTED), more=ahead > AHEAD_COUNTED)


def vitals(reader: Reader, now: int) -> Vitals:
    """Return what a monitor looks at in the store."""
    since = reader.oldest_ready()
    return Vitals(
        reader.counts(),
        reader.happened("dead", now - LATELY),
        None if since is None else max(0, now - since),
    )


def nothing(_tx: Transaction) -> None:
    """Commit a batch that holds no more than its number: can anything be written?"""


def change_each(
    tx: Transaction,
    event: Event,
    ids: Sequence[str],
    *,
    if_state: JobState | None,
    submitter: int | None,
    now: int,
) -> list[Job | QueueError]:
    """Cancel, retry or start jobs, each by itself; return what became of each.

    Of several the texts are left out: they may come to gigabytes.
    """
    outcomes: list[Job | QueueError] = []
    for job_id in ids:
        try:
            job = _change(tx, event, find(tx, job_id, if_state, submitter), now)
        except QueueError as error:
            outcomes.append(error)
        else:
            outcomes.append(job if len(ids) == 1 else without_texts(job))
    return outcomes


def _change(tx: Transaction, event: Event, job: Job, now: int) -> Job:
    changed = lifecycle.CHANGES[event](job, now=now)
    tx.update(job, changed)
    if changed.state is JobState.CANCELLED:
        tx.measure([Measure("cancelled", now)])
    return changed


def find_deletable(
    reader: Reader,
    ids: Sequence[str],
    if_state: JobState | None,
    submitter: int | None,
) -> list[JobView | QueueError]:
    """Return the jobs that may be forgotten, with their attempts, or why they may not.

    Their texts are left out.
    """
    found: list[JobView | QueueError] = []
    for job_id in ids:
        try:
            job = find(reader, job_id, if_state, submitter)
            lifecycle.check_deletable(job)
        except QueueError as error:
            found.append(error)
        else:
            attempts = reader.attempts(job.seq)
            found.append(JobView(without_texts(job), attempts, None))
    return found


@dataclass(frozen=True, slots=True)
class Retried:
    """What came of a chunk of the jobs in a state.

    Attributes:
        jobs: those that were retried.
        skipped: how many were left because they were not meant.
        last: sequence number of the last one looked at; None: there are no more.
    """

    jobs: list[Job]
    skipped: int
    last: int | None


def retry_in_state(
    tx: Transaction,
    *,
    state: JobState,
    after: int,
    upto: int,
    foreground: bool | None,
    now: int,
) -> Retried:
    """Retry a chunk of the jobs in a state, from one sequence number to another.

    Args:
        tx: the transaction.
        state: the state.
        after: the sequence number before the first.
        upto: the last one.
        foreground: only those that are so, or are not; None: all.
        now: the present.
    """
    found = [job for job in tx.in_state(state, CHUNK, after) if job.seq <= upto]
    jobs = [job for job in found if foreground in {None, job.foreground}]
    again = [lifecycle.retry(job, now=now) for job in jobs]
    for old, new in zip(jobs, again, strict=True):
        tx.update(old, new)
    return Retried(again, len(found) - len(jobs), found[-1].seq if found else None)


def set_setting(tx: Transaction, key: str, value: Value | None) -> dict[str, Value]:
    """Store a setting; return all that are stored."""
    tx.set_setting(key, value)
    return tx.settings()


def promote(tx: Transaction, now: int) -> int | None:
    """Make a chunk of due jobs ready; return the time of the next one."""
    tx.promote(now, CHUNK)
    return tx.next_run_at()


def finish(
    tx: Transaction,
    seq: int,
    end: AttemptEnd,
    *,
    now: int,
    random: float,
    claimed: Job | None = None,
    asked: bool = True,
) -> Job | None:
    """Record the end of an attempt; None when its lease is not the current one.

    Args:
        tx: the transaction.
        seq: the job.
        end: how the attempt ended.
        now: the present.
        random: from 0 up to 1, for the jitter of a retry.
        claimed: the job as it was claimed for this attempt, which saves reading it as
            long as nobody cancelled it meanwhile.
        asked: whether somebody had asked for an interruption.
    """
    # A lease of another job is no lease of this one.
    if claimed is not None and claimed.seq == seq:
        done = _finish(tx, claimed, end, now, random, asked=asked)
        if done is not None:
            return done
    job = tx.job_by_seq(seq)
    if job is None or job.lease != end.lease:
        return None
    return _finish(tx, job, end, now, random, asked=asked)


def recorded(tx: Transaction, seq: int, lease: int) -> bool:
    """Return whether the attempt under this lease is a job's last on record."""
    last = tx.attempts(seq, limit=1)
    return bool(last) and last[0].lease == lease


def _finish(
    tx: Transaction,
    job: Job,
    end: AttemptEnd,
    now: int,
    random: float,
    *,
    asked: bool,
) -> Job | None:
    if end.started_at is None:
        end = end._replace(started_at=job.started_at)
    event = lifecycle.event_of(job, end, asked=asked)
    end = lifecycle.on_record(job, end, asked=asked)
    finished = lifecycle.finish(job, end, now=now, random=random, asked=asked)
    if not tx.update(job, finished):
        return None
    tx.insert_attempt(job, end)
    tx.measure(_measures(event, end, finished, now))
    return finished


_COUNTED = {
    JobState.COMPLETED: "completed",
    JobState.DEAD: "dead",
    JobState.CANCELLED: "cancelled",
    JobState.FAILED: "retried",
}


def _measures(
    event: lifecycle.Event, end: AttemptEnd, job: Job, now: int
) -> Iterator[Measure]:
    if job.state in _COUNTED:
        yield Measure(_COUNTED[job.state], now)
    if event in {lifecycle.Event.FAIL, lifecycle.Event.LOSE}:
        yield Measure("failed", now)
    if end.reason is Reason.LOST:
        yield Measure("lost", now)
    if end.started_at is not None:
        yield Measure("run", now, max(0, end.finished_at - end.started_at))
