"""The fields of a new job: those of its submission, filled up by the settings."""

from dataclasses import replace
from typing import Any

import pytest

from helpers.jobs import NOW
from queuectl_protocol.vocabulary import JobState
from queuectld.core import lifecycle, limits, new_job, settings
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
