"""The fields of a job that go with each transition: attempts, lease, due, times."""

import pytest

from helpers.jobs import ENDS, NOW, WAITING, a_job, an_end, claim, finish
from queuectl_protocol.vocabulary import FINAL_STATES, JobState, Reason
from queuectld.core import lifecycle
from queuectld.core.errors import JobStateError
from queuectld.core.event import Event

FAILURES = [
    *((reason, None) for reason, event in lifecycle.END_EVENT.items()
      if event is Event.FAIL),
    (Reason.EXIT, 1),
    (Reason.EXIT, 255),
]  # fmt: skip


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
