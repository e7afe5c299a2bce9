"""Runs that were lost or interrupted: which of them count, and when the next begins."""

import pytest

from helpers.jobs import ENDS, NOW, WAITING, a_job, an_end, claim, finish
from queuectl_protocol.vocabulary import JobState, Reason
from queuectld.core import lifecycle

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
