"""From a claimed job to the message that brings it to a worker."""

import os
from functools import cache

from queuectld.core.job import Assignment
from queuectld.workers.daemon_side.handle import WorkerHandle
from queuectld.workers.shared import accounts, messages
from queuectld.workers.shared.accounts import RunAs

_OF_ACCOUNT = b"\0"
"""Stands for the minimal environment of an account, as the key of an environment."""


def message_for(
    worker: WorkerHandle,
    assignment: Assignment,
    *,
    kill_grace: float,
    as_submitter: bool,
) -> messages.RunJob:
    """Return the message that gives an idle worker its next job.

    It leaves out an environment that the worker has from the job before.

    Args:
        worker: ``env_key`` says what it was sent last, and is set to what it is sent.
        assignment: the claimed job.
        kill_grace: seconds between SIGTERM and SIGKILL.
        as_submitter: jobs run as the accounts that enqueued them.
    """
    job = assignment.job
    user = _user(assignment, as_submitter=as_submitter)
    # A job without an environment of its own gets the minimal one: one key for all.
    key = assignment.env_key or (b"" if user is None else _OF_ACCOUNT)
    known = worker.env_key == key
    worker.env_key = key
    env = _minimal(user) if assignment.env is None else assignment.env
    return messages.RunJob(
        lease=assignment.lease,
        seq=job.seq,
        run=job.runs,
        id=job.id,
        command=job.command,
        cwd=job.cwd,
        umask=job.umask,
        env=None if known else env,
        timeout=job.timeout,
        kill_grace=kill_grace,
        output_limit=job.output_limit,
        limits=job.limits,
        user=user,
        shell=job.shell,
    )


def _user(assignment: Assignment, *, as_submitter: bool) -> RunAs | None:
    job = assignment.job
    # A job that was enqueued to run as its submitter always does: a changed
    # configuration must not make it run as root.
    if not as_submitter and job.groups is None:
        return None
    return RunAs(job.submitter, job.groups, minimal=assignment.env is None)


def _minimal(user: RunAs | None) -> dict[str, str]:
    # The worker adds an account's variables: looking it up may take its time.
    return _own_environment() if user is None else {}


@cache
def _own_environment() -> dict[str, str]:
    """Return the minimal environment of the daemon's own account."""
    return accounts.environment(os.geteuid())
