"""The life of a job: every state with every event, and whole lives.

``WRITTEN`` repeats the table of docs/lifecycle.md by hand and on purpose: the test
must disagree when the table in the code is changed by mistake.
"""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.jobs import NOW, WAITING, a_job, an_end, claim, finish
from queuectl_protocol.vocabulary import FINAL_STATES, JobState, Reason
from queuectld.core import lifecycle
from queuectld.core.errors import JobStateError
from queuectld.core.event import Event
from queuectld.core.job import Job
from queuectld.core.lifecycle import Guard

WRITTEN = """
state       event      leads to    no retries left  cancel requested
----------  ---------  ----------  ---------------  ----------------
pending     claim      processing  processing       processing
pending     cancel     cancelled   cancelled        cancelled
pending     start      pending     pending          pending
pending     expire     cancelled   cancelled        cancelled
processing  succeed    completed   completed        cancelled
processing  fail       failed      dead             cancelled
processing  lose       failed      dead             cancelled
processing  interrupt  pending     pending          cancelled
processing  cancel     processing  processing       processing
failed      claim      processing  processing       processing
failed      cancel     cancelled   cancelled        cancelled
failed      retry      pending     pending          pending
failed      start      failed      failed           failed
failed      expire     cancelled   cancelled        cancelled
completed   retry      pending     pending          pending
dead        retry      pending     pending          pending
cancelled   retry      pending     pending          pending
"""
EXPECTED: dict[tuple[JobState, Event], tuple[JobState, JobState, JobState]] = {
    (JobState(state), Event(event)): (JobState(a), JobState(b), JobState(c))
    for state, event, a, b, c in map(str.split, WRITTEN.splitlines()[3:])
}

# The table


@pytest.mark.parametrize("retries_left", [True, False], ids=["retries", "exhausted"])
@pytest.mark.parametrize("cancelled", [False, True], ids=["wanted", "unwanted"])
@pytest.mark.parametrize(("state", "event"), [*product(JobState, Event)])
def test_every_state_with_every_event(
    state: JobState, event: Event, cancelled: bool, retries_left: bool
) -> None:
    """An event leads to the state written above, or cannot happen."""
    job = a_job(
        state,
        cancel_requested=cancelled,
        attempts=1,
        max_retries=1 if retries_left else 0,
    )
    if (state, event) not in EXPECTED:
        with pytest.raises(JobStateError) as caught:
            lifecycle.target(job, event)
        assert caught.value.data == {"id": job.id, "state": state}
        return
    plain, exhausted, unwanted = EXPECTED[state, event]
    leads_to = unwanted if cancelled else plain if retries_left else exhausted
    assert lifecycle.target(job, event) is leads_to


def test_the_table_holds_what_is_written_and_nothing_else() -> None:
    """No pair of state and event was added or lost without this test."""
    written = {*EXPECTED, (None, Event.ENQUEUE)}
    assert set(lifecycle.TRANSITIONS) == written


def test_every_pair_has_an_answer_for_every_job() -> None:
    """The last target of a pair has no condition, and no guard stands twice."""
    for targets in lifecycle.TRANSITIONS.values():
        guards = [guard for guard, _ in targets]
        assert guards[-1] is Guard.OTHERWISE
        assert len(set(guards)) == len(guards)


def test_every_state_is_reached_and_left() -> None:
    """No state is a trap, none is unreachable."""
    targets = {s for ts in lifecycle.TRANSITIONS.values() for _, s in ts}
    assert targets == set(JobState)
    assert {state for state, _ in lifecycle.TRANSITIONS if state} == set(JobState)


def test_final_states_are_left_by_retry_alone() -> None:
    """A job that is over stays as it is until somebody asks."""
    for state in FINAL_STATES:
        events = {event for from_, event in lifecycle.TRANSITIONS if from_ is state}
        assert events == {Event.RETRY}


@pytest.mark.parametrize(
    ("state", "event", "words"),
    [
        (JobState.PENDING, Event.RETRY, "is queued already; there is nothing to retry"),
        (JobState.PROCESSING, Event.RETRY, "is running already"),
        (JobState.PROCESSING, Event.START, "is running already; there is nothing to s"),
        (JobState.DEAD, Event.START, "is dead; to run it again: queuectl retry 7"),
        (JobState.DEAD, Event.CANCEL, "is dead already; there is nothing to cancel"),
        (JobState.COMPLETED, Event.CLAIM, "claim is not possible in that state"),
    ],
)
def test_a_refusal_says_why(state: JobState, event: Event, words: str) -> None:
    """The message names the job and what is in the way."""
    with pytest.raises(JobStateError, match=f"job 7 .*{words}"):
        lifecycle.target(a_job(state), event)


# Which event an end is


@pytest.mark.parametrize(
    ("reason", "exit_code", "event"),
    [
        (Reason.EXIT, 0, Event.SUCCEED),
        (Reason.EXIT, 1, Event.FAIL),
        (Reason.EXIT, None, Event.FAIL),
        (Reason.SIGNAL, None, Event.FAIL),
        (Reason.TIMEOUT, 0, Event.FAIL),
        (Reason.SPAWN_ERROR, None, Event.FAIL),
        (Reason.OUTPUT_LIMIT, None, Event.FAIL),
        (Reason.LOST, None, Event.LOSE),
        (Reason.INTERRUPTED, 0, Event.INTERRUPT),
        (Reason.CANCELLED, None, Event.INTERRUPT),
    ],
)
def test_the_reason_decides_the_event(
    reason: Reason, exit_code: int | None, event: Event
) -> None:
    """An exit with code 0 succeeds; the reason decides everything else."""
    job, end = a_job(JobState.PROCESSING), an_end(reason, exit_code=exit_code)
    assert lifecycle.finish(job, end, now=NOW, random=0).event is event


def test_every_reason_has_an_event() -> None:
    """No reason a worker can report is without a meaning."""
    assert {*lifecycle.END_EVENT, Reason.EXIT} == set(Reason) - {Reason.EXPIRED}


# Whole lives

STEPS = st.sampled_from(
    [
        *("claim", "cancel", "retry", "start", "expire", f"end {Reason.EXIT}"),
        *(f"end {reason}" for reason in lifecycle.END_EVENT),
    ]
)


def step(job: Job, name: str, now: int) -> Job:
    """Return the job after a step, or as it was when that cannot happen."""
    try:
        match name.split():
            case ["claim"]:
                return claim(job, lease=now, now=now)
            case ["cancel"]:
                return lifecycle.cancel(job, now=now)
            case ["retry"]:
                return lifecycle.retry(job, now=now)
            case ["start"]:
                return lifecycle.start(job, now=now)
            case ["expire"]:
                return lifecycle.expire(job, now=now)
            case [_, reason]:
                return finish(job, an_end(Reason(reason)), now=now)
    except JobStateError:
        return job
    raise AssertionError(f"no step: {name}")


@given(st.lists(STEPS, max_size=40), st.integers(0, 3))
def test_no_life_leads_to_a_contradiction(steps: list[str], retries: int) -> None:
    """Whatever happens in whatever order, the fields agree with the state."""
    job = a_job(max_retries=retries)
    for number, name in enumerate(steps, start=1):
        before, job = job, step(job, name, NOW + number)
        running = job.state is JobState.PROCESSING
        assert (job.lease is not None) == running
        assert (job.due is not None) == (job.state in WAITING)
        assert not job.cancel_requested or running
        assert (job.finished_at is None) or not running
        assert 0 <= job.attempts <= min(job.runs, retries + 1)
        assert before.runs <= job.runs <= before.runs + 1
