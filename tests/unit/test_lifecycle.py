"""The life of a job: every state with every event, and the fields that go with it.

``WRITTEN`` repeats the table of docs/lifecycle.md by hand and on purpose: the test
must disagree when the table in the code is changed by mistake.
"""

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.jobs import NOW, a_job, an_end
from queuectl_protocol.vocabulary import FINAL_STATES, JobState, Reason
from queuectld.core import lifecycle, settings
from queuectld.core.errors import JobStateError
from queuectld.core.job import AttemptEnd, Job, Submission
from queuectld.core.lifecycle import Event, Guard

WRITTEN = """
state       event      leads to    no retries left  cancel requested
----------  ---------  ----------  ---------------  ----------------
pending     claim      processing  processing       processing
pending     cancel     cancelled   cancelled        cancelled
processing  succeed    completed   completed        cancelled
processing  fail       failed      dead             cancelled
processing  lose       failed      dead             cancelled
processing  interrupt  pending     pending          cancelled
processing  cancel     processing  processing       processing
failed      claim      processing  processing       processing
failed      cancel     cancelled   cancelled        cancelled
failed      retry      pending     pending          pending
completed   retry      pending     pending          pending
dead        retry      pending     pending          pending
cancelled   retry      pending     pending          pending
"""
EXPECTED: dict[tuple[JobState, Event], tuple[JobState, JobState, JobState]] = {
    (JobState(state), Event(event)): (JobState(a), JobState(b), JobState(c))
    for state, event, a, b, c in map(str.split, WRITTEN.splitlines()[3:])
}
SETTINGS_OF_A_JOB = (
    "max_retries",
    "timeout",
    "backoff_base",
    "backoff_max",
    "backoff_jitter",
    "output_limit",
)
WAITING = (JobState.PENDING, JobState.FAILED)
ENDS = [
    *((reason, None) for reason in Reason if reason is not Reason.EXIT),
    (Reason.EXIT, 0),
    (Reason.EXIT, 1),
]
"""Every reason an attempt can end for, with the exit code where it matters."""
FAILURES = [
    *((reason, None) for reason, event in lifecycle.END_EVENT.items()
      if event is Event.FAIL),
    (Reason.EXIT, 1),
    (Reason.EXIT, 255),
]  # fmt: skip


def finish(job: Job, end: AttemptEnd, *, now: int = NOW, random: float = 0) -> Job:
    """Return ``lifecycle.finish`` without jitter, now."""
    return lifecycle.finish(job, end, now=now, random=random)


def claim(job: Job, *, lease: int = 42, now: int = NOW) -> Job:
    """Return ``lifecycle.claim`` by worker 3, now."""
    return lifecycle.claim(job, now=now, lease=lease, worker=3)


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
    assert lifecycle.event_of(an_end(reason, exit_code=exit_code)) is event


def test_every_reason_has_an_event() -> None:
    """No reason a worker can report is without a meaning."""
    assert {*lifecycle.END_EVENT, Reason.EXIT} == set(Reason)


# Enqueue

DEFAULTS = settings.in_force({})


def enqueue(submission: Submission) -> Job:
    """Return ``lifecycle.enqueue`` of job 7, now, with the default settings."""
    return lifecycle.enqueue(submission, DEFAULTS, now=NOW, seq=7, env_key=b"key")


def test_a_job_begins_pending_and_ready() -> None:
    """A new job is pending and due, has no history, and the settings fill it up."""
    job = enqueue(Submission("true"))
    assert (job.state, job.due, job.run_at) == (JobState.PENDING, True, None)
    assert (job.attempts, job.runs, job.losses, job.lease) == (0, 0, 0, None)
    assert (job.created_at, job.updated_at) == (NOW, NOW)
    assert (job.id, job.env_key) == ("7", b"key")
    for key in SETTINGS_OF_A_JOB:
        assert getattr(job, key) == getattr(DEFAULTS, key)


def test_what_the_submitter_said_stands() -> None:
    """Every field of a submission is in the job, zeros included."""
    said: dict[str, Any] = {
        **dict.fromkeys(SETTINGS_OF_A_JOB, 0),
        "command": ("make", "all"),
        "id": "build",
        "priority": -5,
        "cwd": "/srv",
        "umask": 0,
        "label": "",
        "submitter": 0,
    }
    job = enqueue(Submission(**said))
    assert {key: getattr(job, key) for key in said} == said


@pytest.mark.parametrize(("ahead", "due"), [(-1, True), (0, True), (1, False)])
def test_a_job_for_later_is_not_due(ahead: int, due: bool) -> None:
    """A job is due from its ``run_at`` on, to the millisecond."""
    job = enqueue(Submission("true", run_at=NOW + ahead))
    assert (job.state, job.due) == (JobState.PENDING, due)
    assert job.run_at == NOW + ahead


# Claim


@pytest.mark.parametrize("state", WAITING)
def test_a_claim_starts_a_run(state: JobState) -> None:
    """One more attempt and one more run, under the new lease, by that worker."""
    job = a_job(state, attempts=2, runs=5, losses=1, run_at=NOW - 1)
    claimed = claim(job)
    assert claimed.state is JobState.PROCESSING
    assert (claimed.attempts, claimed.runs) == (3, 6)
    assert (claimed.lease, claimed.worker) == (42, 3)
    assert claimed.due is None
    assert (claimed.started_at, claimed.updated_at) == (NOW, NOW)
    assert (claimed.losses, claimed.run_at) == (1, NOW - 1)


def test_a_claim_forgets_how_the_last_attempt_ended() -> None:
    """A running job shows no exit code, signal, reason, message or end."""
    job = a_job(JobState.FAILED, signal=9, message="killed")
    claimed = claim(job)
    last = (claimed.exit_code, claimed.signal, claimed.reason, claimed.message)
    assert last == (None, None, None, None)
    assert claimed.finished_at is None


# The ends of an attempt


@pytest.mark.parametrize(("reason", "exit_code"), ENDS)
@pytest.mark.parametrize("retries_left", [True, False], ids=["retries", "exhausted"])
def test_every_end_gives_the_lease_back(
    reason: Reason, exit_code: int | None, retries_left: bool
) -> None:
    """After any end there is no lease, the times are the attempt's, the run stays."""
    job = a_job(JobState.PROCESSING, max_retries=3 if retries_left else 0)
    end = an_end(reason, exit_code=exit_code, signal=15, message="so it ended")
    ended = finish(job, end)
    assert ended.lease is None
    assert not ended.cancel_requested
    assert (ended.started_at, ended.finished_at) == (end.started_at, end.finished_at)
    assert ended.updated_at == NOW
    assert (ended.runs, ended.worker) == (job.runs, job.worker)
    assert ended.reason is reason
    assert (ended.exit_code, ended.signal) == (exit_code, 15)
    assert ended.message == "so it ended"
    assert (ended.due is None) == (ended.state in FINAL_STATES)


@pytest.mark.parametrize(("reason", "exit_code"), ENDS)
def test_a_cancelled_job_ends_cancelled_whatever_ended_it(
    reason: Reason, exit_code: int | None
) -> None:
    """After a cancel even a success or a crash leads to cancelled, for good."""
    job = lifecycle.cancel(a_job(JobState.PROCESSING), now=NOW - 50)
    ended = finish(job, an_end(reason, exit_code=exit_code))
    assert ended.state is JobState.CANCELLED
    assert ended.reason is Reason.CANCELLED
    assert not ended.cancel_requested
    assert (ended.due, ended.run_at) == (None, job.run_at)


def test_a_success_completes_the_job() -> None:
    """Exit code 0 completes a job; it waits for nothing any more."""
    ended = finish(a_job(JobState.PROCESSING), an_end(exit_code=0))
    assert ended.state is JobState.COMPLETED
    assert (ended.due, ended.run_at, ended.attempts) == (None, None, 1)


@pytest.mark.parametrize(("reason", "exit_code"), FAILURES)
def test_a_failure_waits_for_its_retry(reason: Reason, exit_code: int | None) -> None:
    """A failed run counts, and the next one comes after the backoff."""
    job = a_job(JobState.PROCESSING, attempts=2, runs=2)
    ended = finish(job, an_end(reason, exit_code=exit_code))
    assert ended.state is JobState.FAILED
    assert (ended.attempts, ended.due) == (2, False)
    assert ended.run_at == NOW + 4_000


def test_a_retry_without_delay_is_due_at_once() -> None:
    """With ``backoff_max`` 0 a failed job is ready again immediately."""
    job = a_job(JobState.PROCESSING, backoff_max=0)
    ended = finish(job, an_end(exit_code=1))
    assert (ended.state, ended.due) == (JobState.FAILED, True)
    assert ended.run_at == NOW


def test_jitter_comes_from_the_caller() -> None:
    """The delay grows by the caller's random share of the job's own jitter."""
    job = a_job(JobState.PROCESSING, backoff_jitter=0.5)
    ended = finish(job, an_end(exit_code=1), random=0.5)
    assert ended.run_at == NOW + 2_500


def test_an_end_that_never_started_keeps_the_time_of_the_claim() -> None:
    """Where the worker knows no start, the claim's is shown."""
    job = a_job(JobState.PROCESSING)
    ended = finish(job, an_end(Reason.INTERRUPTED, started_at=None))
    assert ended.started_at == job.started_at


# max_retries


@pytest.mark.parametrize("max_retries", [0, 1, 3])
@pytest.mark.parametrize("reason", [Reason.SIGNAL, Reason.LOST])
def test_max_retries_counts_the_runs_after_the_first(
    reason: Reason, max_retries: int
) -> None:
    """A job that always fails, or always crashes, runs ``max_retries`` + 1 times."""
    job = a_job(max_retries=max_retries)
    runs = 0
    while job.state in WAITING:
        job = finish(claim(job), an_end(reason))
        runs += 1
    assert job.state is JobState.DEAD
    assert (runs, job.runs, job.attempts) == (max_retries + 1,) * 3
    assert job.due is None


def test_a_dead_job_keeps_the_time_it_last_waited_for() -> None:
    """The last failure schedules nothing."""
    job = a_job(JobState.PROCESSING, max_retries=0, run_at=NOW - 7_000)
    assert finish(job, an_end(exit_code=1)).run_at == NOW - 7_000


# Losses


def test_the_first_loss_is_retried_at_once() -> None:
    """A job whose worker died is ready again immediately; the attempt counts."""
    ended = finish(a_job(JobState.PROCESSING), an_end(Reason.LOST))
    assert ended.state is JobState.FAILED
    assert (ended.attempts, ended.losses) == (1, 1)
    assert (ended.due, ended.run_at) == (True, NOW)


def test_later_losses_in_a_row_back_off() -> None:
    """A job that goes on killing its worker comes back later and later."""
    job = a_job(JobState.PROCESSING, attempts=2, losses=1)
    ended = finish(job, an_end(Reason.LOST))
    assert (ended.losses, ended.due) == (2, False)
    assert ended.run_at == NOW + 4_000


@pytest.mark.parametrize(
    ("reason", "exit_code"), [end for end in ENDS if end[0] is not Reason.LOST]
)
def test_any_other_end_breaks_the_row_of_losses(
    reason: Reason, exit_code: int | None
) -> None:
    """A run that ended by itself, or was ended, makes the next loss a first one."""
    job = a_job(JobState.PROCESSING, losses=2)
    assert finish(job, an_end(reason, exit_code=exit_code)).losses == 0


# Interrupts


@pytest.mark.parametrize("max_retries", [0, 3])
def test_an_interrupt_does_not_count(max_retries: int) -> None:
    """A job whose worker was stopped is pending, ready, and lost no retry."""
    job = a_job(max_retries=max_retries)
    ended = finish(claim(job), an_end(Reason.INTERRUPTED))
    assert ended.state is JobState.PENDING
    assert ended.attempts == job.attempts
    assert (ended.due, ended.run_at) == (True, NOW)


def test_an_interrupted_run_keeps_its_number() -> None:
    """The run is on record and its number is not used again."""
    job = finish(claim(a_job()), an_end(Reason.INTERRUPTED))
    assert claim(job).runs == 2


# Cancel


@pytest.mark.parametrize("state", WAITING)
def test_a_waiting_job_is_cancelled_at_once(state: JobState) -> None:
    """It is over now, and nothing will claim it."""
    ended = lifecycle.cancel(a_job(state), now=NOW)
    assert ended.state is JobState.CANCELLED
    assert ended.reason is Reason.CANCELLED
    assert ended.due is None
    assert (ended.finished_at, ended.updated_at) == (NOW, NOW)
    assert not ended.cancel_requested


def test_a_running_job_is_marked() -> None:
    """It runs on under its lease until its processes are gone."""
    job = a_job(JobState.PROCESSING)
    marked = lifecycle.cancel(job, now=NOW)
    assert marked.state is JobState.PROCESSING
    assert marked.cancel_requested
    assert (marked.lease, marked.finished_at) == (job.lease, None)
    assert marked.updated_at == NOW


def test_cancelling_twice_is_no_error() -> None:
    """A second cancel of a running job finds it marked already."""
    once = lifecycle.cancel(a_job(JobState.PROCESSING), now=NOW)
    assert lifecycle.cancel(once, now=NOW) == once


# Retry


@pytest.mark.parametrize("state", [*FINAL_STATES, JobState.FAILED])
def test_a_manual_retry_restores_the_budget(state: JobState) -> None:
    """The job is ready now, with all its retries, and its runs go on counting."""
    job = a_job(state, attempts=4, runs=9, losses=3)
    again = lifecycle.retry(job, now=NOW)
    assert again.state is JobState.PENDING
    assert (again.attempts, again.losses, again.runs) == (0, 0, 9)
    assert (again.due, again.run_at, again.updated_at) == (True, NOW, NOW)
    assert claim(again).runs == 10


# Whole lives

STEPS = st.sampled_from(
    ["claim", "cancel", "retry", *(f"end {reason}" for reason in Reason)]
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
