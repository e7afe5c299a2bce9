"""The fields of a job that go with each transition: attempts, lease, due, times."""

from dataclasses import replace
from typing import Any

import pytest

from helpers.jobs import NOW, a_job, an_end, claim, finish
from queuectl_protocol.vocabulary import FINAL_STATES, JobState, Reason
from queuectld.core import lifecycle, limits, new_job, settings
from queuectld.core.errors import JobStateError
from queuectld.core.event import Event
from queuectld.core.job import Job, Submission
from queuectld.core.limits import Limits

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
    *((reason, None) for reason in lifecycle.END_EVENT),
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
        "expires": NOW + 1,
    }
    job = enqueue(Submission(**said))
    assert {key: getattr(job, key) for key in said} == said


@pytest.mark.parametrize("default", [limits.NONE, Limits(nice=5, memory_max=1 << 30)])
def test_limits_that_are_not_said_are_those_of_the_settings(default: Limits) -> None:
    """The object itself, not a copy: most jobs have this one."""
    in_force = replace(DEFAULTS, limits=default)
    assert new_job.limits_of(Submission("true"), in_force) is default


def test_each_limit_that_is_said_goes_before_its_setting() -> None:
    """Also one of 0; where that leaves none, it is ``NONE``."""
    in_force = replace(DEFAULTS, limits=Limits(nice=5, memory_max=1 << 30))
    asked = Submission("true", nice=-1, tasks_max=8, rlimits=(("core", 0),))
    expected = Limits(-1, 1 << 30, 0, 8, (("core", 0),))
    assert new_job.limits_of(asked, in_force) == expected
    without = Submission("true", nice=0, memory_max=0)
    assert new_job.limits_of(without, in_force) is limits.NONE


def test_a_job_keeps_who_asked_for_it() -> None:
    """The groups, where they were handed over."""
    assert enqueue(Submission("true", groups=(5, 7))).groups == (5, 7)
    assert enqueue(Submission("true")).groups is None


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


def test_an_interrupt_does_not_count_in_a_cancelled_job() -> None:
    """Whoever was first, the user who cancelled or the operator who stopped."""
    job = a_job(JobState.PROCESSING, attempts=1, cancel_requested=True)
    ended = finish(job, an_end(Reason.INTERRUPTED))
    assert (ended.state, ended.attempts) == (JobState.CANCELLED, 0)


def test_interruptions_that_nobody_asked_for_count_in_the_end() -> None:
    """Ten in a row are free, all after them are attempts, up to the last retry."""
    job, runs = a_job(max_retries=1), 0
    while job.state in WAITING:
        job = finish(claim(job), an_end(Reason.INTERRUPTED), asked=False)
        runs += 1
        assert job.attempts == max(0, runs - lifecycle.INTERRUPTIONS)
        assert runs < 100
    assert (job.state, job.reason) == (JobState.DEAD, Reason.INTERRUPTED)
    assert runs == lifecycle.INTERRUPTIONS + 2


def test_interruptions_that_somebody_asks_for_never_count() -> None:
    """An operator may restart a service a hundred times, and begins the row anew."""
    job = finish(claim(a_job()), an_end(Reason.INTERRUPTED), asked=False)
    assert job.losses == 1
    for _ in range(100):
        job = finish(claim(job), an_end(Reason.INTERRUPTED))
    assert (job.state, job.attempts, job.losses) == (JobState.PENDING, 0, 0)


def test_an_interruption_too_many_says_so_on_record() -> None:
    """After what the worker had to say; the others are recorded as they came."""
    end = an_end(Reason.INTERRUPTED, message="of SIGTERM")
    few = a_job(JobState.PROCESSING, losses=lifecycle.INTERRUPTIONS - 1)
    many = few._replace(losses=lifecycle.INTERRUPTIONS)
    assert lifecycle.finish(few, end, now=NOW, random=0, asked=False).end == end
    assert lifecycle.finish(many, end, now=NOW, random=0, asked=True).end == end
    said = lifecycle.finish(many, end, now=NOW, random=0, asked=False).end.message
    assert said is not None
    assert said.startswith("of SIGTERM; interrupted more than 10 times in a row")


def test_the_last_interruption_of_a_cancelled_job_is_no_attempt() -> None:
    """It was to end, and it did."""
    losses = lifecycle.INTERRUPTIONS
    job = a_job(JobState.PROCESSING, attempts=1, losses=losses, cancel_requested=True)
    ended = finish(job, an_end(Reason.INTERRUPTED), asked=False)
    assert (ended.state, ended.attempts) == (JobState.CANCELLED, 0)


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


# Expire


@pytest.mark.parametrize("state", WAITING)
def test_a_job_that_expires_is_over(state: JobState) -> None:
    """As if it had been cancelled, but for the reason; what it ran stays told."""
    job = a_job(state, expires=NOW)
    ended = lifecycle.expire(job, now=NOW)
    assert ended == lifecycle.cancel(job, now=NOW)._replace(reason=Reason.EXPIRED)


@pytest.mark.parametrize(
    ("expires", "expired"),
    [(None, False), (NOW - 1, True), (NOW, True), (NOW + 1, False)],
)
def test_a_job_expires_at_its_time(expires: int | None, expired: bool) -> None:
    """To the millisecond."""
    assert lifecycle.has_expired(a_job(expires=expires), NOW) is expired


def test_a_running_job_does_not_expire() -> None:
    """It was started in time."""
    with pytest.raises(JobStateError):
        lifecycle.expire(a_job(JobState.PROCESSING, expires=NOW), now=NOW)


# Retry


@pytest.mark.parametrize(
    ("expires", "left"),
    [(None, None), (NOW - 1, None), (NOW, None), (NOW + 1, NOW + 1)],
)
@pytest.mark.parametrize("state", [*FINAL_STATES, JobState.FAILED])
def test_a_manual_retry_drops_an_expiry_that_has_passed(
    state: JobState, expires: int | None, left: int | None
) -> None:
    """Somebody wants the job to run all the same. One that is to come stays."""
    assert lifecycle.retry(a_job(state, expires=expires), now=NOW).expires == left


@pytest.mark.parametrize("state", [*FINAL_STATES, JobState.FAILED])
def test_a_manual_retry_restores_the_budget(state: JobState) -> None:
    """The job is ready now, with all its retries, and its runs go on counting."""
    job = a_job(state, attempts=4, runs=9, losses=3)
    again = lifecycle.retry(job, now=NOW)
    assert again.state is JobState.PENDING
    assert (again.attempts, again.losses, again.runs) == (0, 0, 9)
    assert (again.due, again.run_at, again.updated_at) == (True, NOW, NOW)
    assert claim(again).runs == 10
