"""The life of a job: the one place that decides a job's state.

``TRANSITIONS`` has for each state and event the guarded targets, of which the first
whose guard holds is taken. A pair that is not in the table cannot happen, and asking
for it raises. Everything else here computes the fields that go with a transition.

docs/lifecycle.md is generated from this table.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from queuectl_protocol.vocabulary import FINAL_STATES, JobState, Reason
from queuectld.core import backoff, new_job, refusals
from queuectld.core.errors import JobStateError
from queuectld.core.event import Event
from queuectld.core.job import AttemptEnd, Job, Submission
from queuectld.core.settings import Settings


class Guard(StrEnum):
    """A condition on the job under which a target is taken."""

    CANCEL_REQUESTED = "cancel requested"
    RETRIES_LEFT = "retries left"
    OTHERWISE = "otherwise"


Targets = tuple[tuple[Guard, JobState], ...]

_P, _R, _C = JobState.PENDING, JobState.PROCESSING, JobState.COMPLETED
_F, _D, _X = JobState.FAILED, JobState.DEAD, JobState.CANCELLED
_ends_in_failure: Targets = (
    (Guard.CANCEL_REQUESTED, _X),
    (Guard.RETRIES_LEFT, _F),
    (Guard.OTHERWISE, _D),
)

TRANSITIONS: Mapping[tuple[JobState | None, Event], Targets] = MappingProxyType(
    {
        (None, Event.ENQUEUE): ((Guard.OTHERWISE, _P),),
        (_P, Event.CLAIM): ((Guard.OTHERWISE, _R),),
        (_F, Event.CLAIM): ((Guard.OTHERWISE, _R),),
        (_R, Event.SUCCEED): ((Guard.CANCEL_REQUESTED, _X), (Guard.OTHERWISE, _C)),
        (_R, Event.FAIL): _ends_in_failure,
        (_R, Event.LOSE): _ends_in_failure,
        (_R, Event.INTERRUPT): ((Guard.CANCEL_REQUESTED, _X), (Guard.OTHERWISE, _P)),
        (_P, Event.CANCEL): ((Guard.OTHERWISE, _X),),
        (_F, Event.CANCEL): ((Guard.OTHERWISE, _X),),
        # The job goes on until its processes are gone; its end leads to cancelled.
        (_R, Event.CANCEL): ((Guard.OTHERWISE, _R),),
        (_D, Event.RETRY): ((Guard.OTHERWISE, _P),),
        (_X, Event.RETRY): ((Guard.OTHERWISE, _P),),
        (_C, Event.RETRY): ((Guard.OTHERWISE, _P),),
        (_F, Event.RETRY): ((Guard.OTHERWISE, _P),),
        # Only of what waits for its time: see ``start``.
        (_P, Event.START): ((Guard.OTHERWISE, _P),),
        (_F, Event.START): ((Guard.OTHERWISE, _F),),
        # Only of what was not started in time: see ``has_expired``.
        (_P, Event.EXPIRE): ((Guard.OTHERWISE, _X),),
        (_F, Event.EXPIRE): ((Guard.OTHERWISE, _X),),
    }
)

END_EVENT: Mapping[Reason, Event] = MappingProxyType(
    {
        Reason.SIGNAL: Event.FAIL,
        Reason.TIMEOUT: Event.FAIL,
        Reason.SPAWN_ERROR: Event.FAIL,
        Reason.OUTPUT_LIMIT: Event.FAIL,
        Reason.OOM: Event.FAIL,
        Reason.LOST: Event.LOSE,
        Reason.CANCELLED: Event.INTERRUPT,
        Reason.INTERRUPTED: Event.INTERRUPT,
    }
)
"""The event that an attempt's end is; ``exit`` depends on its code."""

INTERRUPTIONS = 10
"""Runs in a row that may be interrupted, or gone before they began, with nobody having
asked for it, and not count. Whoever stops workers, the daemon or the service asks, and
begins the row anew; what is left are signals from elsewhere, and a job that sends its
worker one must not run for ever."""

_TOO_OFTEN = (
    f"interrupted more than {INTERRUPTIONS} times in a row, and nobody had asked for "
    "it: counted as an attempt"
)


def target(job: Job, event: Event) -> JobState:
    """Return the state that ``event`` leads to.

    Raises:
        JobStateError: it cannot happen to a job in this state.
    """
    for guard, state in TRANSITIONS.get((job.state, event), ()):
        if (
            guard is Guard.OTHERWISE
            or (guard is Guard.CANCEL_REQUESTED and job.cancel_requested)
            # max_retries counts the runs after the first one.
            or (guard is Guard.RETRIES_LEFT and job.attempts <= job.max_retries)
        ):
            return state
    raise JobStateError(job.id, job.state.value, refusals.of_event(job, event))


def enqueue(
    submission: Submission,
    settings: Settings,
    *,
    now: int,
    seq: int,
    env_key: bytes | None,
) -> Job:
    """A job begins: what the submission leaves out comes from the settings."""
    ((_, state),) = TRANSITIONS[None, Event.ENQUEUE]
    due = submission.run_at is None or submission.run_at <= now
    return new_job.make(
        submission, settings, now=now, seq=seq, env_key=env_key, state=state, due=due
    )


def claim(job: Job, *, now: int, lease: int, worker: int) -> Job:
    """A worker takes the job: one more run, under a new lease."""
    return job._replace(
        state=target(job, Event.CLAIM),
        attempts=job.attempts + 1,
        runs=job.runs + 1,
        lease=lease,
        worker=worker,
        due=None,
        updated_at=now,
        started_at=now,
        finished_at=None,
        exit_code=None,
        signal=None,
        reason=None,
        message=None,
    )


class Ending(NamedTuple):
    """What the end of an attempt leads to.

    Attributes:
        event: what that end is to the job.
        end: the end as it goes on record.
        job: the job after it.
    """

    event: Event
    end: AttemptEnd
    job: Job


def event_of(end: AttemptEnd) -> Event:
    """Return the event for this end.

    ``finish`` replaces it by LOSE after too many interruptions.
    """
    if end.reason is Reason.EXIT:
        return Event.SUCCEED if end.exit_code == 0 else Event.FAIL
    return END_EVENT[end.reason]


def finish(
    job: Job, end: AttemptEnd, *, now: int, random: float, asked: bool = True
) -> Ending:
    """The running attempt ended. The caller has compared the lease.

    Args:
        job: the job, in ``processing``.
        end: how it ended; its reason decides which event this is.
        now: the present.
        random: from 0 up to 1, for the jitter of a retry.
        asked: whether somebody had asked for it, if it is an interruption.
    """
    event = event_of(end)
    unasked = end.reason is Reason.INTERRUPTED and not asked
    if unasked and job.losses >= INTERRUPTIONS and not job.cancel_requested:
        event = Event.LOSE
        said = (end.message, _TOO_OFTEN)
        end = end._replace(message="; ".join(filter(None, said)))
    if end.started_at is None:
        end = end._replace(started_at=job.started_at)
    state = target(job, event)
    # What was interrupted, or never began, does not count, even if the job was
    # cancelled meanwhile; nor does what goes back to the queue.
    uncounted = event is Event.INTERRUPT and (
        end.reason is Reason.INTERRUPTED or state is JobState.PENDING
    )
    waits = state not in FINAL_STATES
    run_at = _next_run(job, event, now=now, random=random) if waits else job.run_at
    finished = job._replace(
        state=state,
        attempts=job.attempts - uncounted,
        losses=job.losses + 1 if unasked or event is Event.LOSE else 0,
        lease=None,
        cancel_requested=False,
        due=run_at is None or run_at <= now if waits else None,
        run_at=run_at,
        updated_at=now,
        started_at=end.started_at,
        finished_at=end.finished_at,
        exit_code=end.exit_code,
        signal=end.signal,
        reason=Reason.CANCELLED if state is JobState.CANCELLED else end.reason,
        message=end.message,
    )
    return Ending(event, end, finished)


def cancel(job: Job, *, now: int) -> Job:
    """Somebody does not want the job any more.

    A waiting job is cancelled at once; a running one is marked, and whoever called
    this must end its processes after the mark is committed.
    """
    state = target(job, Event.CANCEL)
    if state is JobState.PROCESSING:
        return job._replace(state=state, cancel_requested=True, updated_at=now)
    return _end_waiting(job, state, Reason.CANCELLED, now)


def has_expired(job: Job, now: int) -> bool:
    """Return whether it is too late to start the job."""
    return job.expires is not None and job.expires <= now


def expire(job: Job, *, now: int) -> Job:
    """The job was not started in time. The caller has asked ``has_expired``."""
    return _end_waiting(job, target(job, Event.EXPIRE), Reason.EXPIRED, now)


def retry(job: Job, *, now: int) -> Job:
    """Somebody wants the job to run again, with its whole retry budget, now.

    An expiry that has passed is dropped: the request says that it is not too late.
    """
    return job._replace(
        expires=None if has_expired(job, now) else job.expires,
        state=target(job, Event.RETRY),
        attempts=0,
        losses=0,
        due=True,
        run_at=now,
        updated_at=now,
    )


def start(job: Job, *, now: int) -> Job:
    """Somebody does not want the job to wait for its time; its budget is as it was.

    Raises:
        JobStateError: it does not wait for its time.
    """
    state = target(job, Event.START)
    if job.due:
        sentence = refusals.of_event(job, Event.START)
        raise JobStateError(job.id, job.state.value, sentence)
    return job._replace(state=state, due=True, run_at=now, updated_at=now)


CHANGES: Mapping[Event, Callable[..., Job]] = MappingProxyType(
    {Event.CANCEL: cancel, Event.RETRY: retry, Event.START: start}
)
"""What somebody can ask for: each takes the job, and ``now``."""


def check_deletable(job: Job) -> None:
    """Refuse to forget a job that is not over.

    Raises:
        JobStateError: it waits or runs.
    """
    if job.state not in FINAL_STATES:
        raise JobStateError(job.id, job.state.value, refusals.of_deletion(job))


def _end_waiting(job: Job, state: JobState, reason: Reason, now: int) -> Job:
    """Return the job as it is when it ends without being started."""
    return job._replace(
        state=state, due=None, updated_at=now, finished_at=now, reason=reason
    )


def _next_run(job: Job, event: Event, *, now: int, random: float) -> int:
    if event is Event.INTERRUPT:
        return now
    if event is Event.LOSE and job.losses == 0:
        # One loss says more about the machine or the worker than about the job.
        return now
    seconds = backoff.delay(
        job.attempts,
        base=job.backoff_base,
        maximum=job.backoff_max,
        jitter=job.backoff_jitter,
        random=random,
    )
    return now + round(seconds * 1000)
