"""Rows of the database as jobs and attempts, and back."""

import hashlib
import json
from typing import Any

from queuectl_protocol.vocabulary import JobState, Reason
from queuectld.core.job import Attempt, AttemptEnd, Job

KEY_BYTES = 16
"""Of a SHA-256: 128 bits make two environments with one key as good as impossible."""


def job(row: tuple[Any, ...]) -> Job:
    """Return the job in a row of ``SELECT * FROM jobs``."""
    (
        seq, name, queue, command, cwd, umask, env_key, label, submitter, priority,
        max_retries, timeout, backoff_base, backoff_max, backoff_jitter, output_limit,
        state, attempts, runs, losses, lease, worker, cancel_requested, due,
        created_at, updated_at, run_at, started_at, finished_at, exit_code, signal,
        reason, message,
    ) = row  # fmt: skip
    return Job(
        seq=seq,
        name=name,
        queue=queue,
        command=_command(command),
        cwd=cwd if cwd is None else json.loads(cwd),
        umask=umask,
        env_key=env_key,
        label=label,
        submitter=submitter,
        priority=priority,
        max_retries=max_retries,
        timeout=timeout,
        backoff_base=backoff_base,
        backoff_max=backoff_max,
        backoff_jitter=backoff_jitter,
        output_limit=output_limit,
        state=JobState(state),
        attempts=attempts,
        runs=runs,
        losses=losses,
        lease=lease,
        worker=worker,
        cancel_requested=bool(cancel_requested),
        due=due if due is None else bool(due),
        created_at=created_at,
        updated_at=updated_at,
        run_at=run_at,
        started_at=started_at,
        finished_at=finished_at,
        exit_code=exit_code,
        signal=signal,
        reason=reason and Reason(reason),
        message=message,
    )


def insert_values(job: Job) -> tuple[Any, ...]:
    """Return the parameters of ``insert_job``."""
    return (
        job.seq,
        job.name,
        job.queue,
        json.dumps(job.command),
        job.cwd if job.cwd is None else json.dumps(job.cwd),
        job.umask,
        job.env_key,
        job.label,
        job.submitter,
        job.priority,
        job.max_retries,
        job.timeout,
        job.backoff_base,
        job.backoff_max,
        job.backoff_jitter,
        job.output_limit,
        job.state,
        job.attempts,
        job.runs,
        job.losses,
        job.lease,
        job.worker,
        job.cancel_requested,
        job.due,
        job.created_at,
        job.updated_at,
        job.run_at,
        job.started_at,
        job.finished_at,
        job.exit_code,
        job.signal,
        job.reason,
        job.message,
    )


def update_values(old: Job, new: Job) -> tuple[Any, ...]:
    """Return the parameters of ``update_job``."""
    return (
        new.state,
        new.attempts,
        new.runs,
        new.losses,
        new.lease,
        new.worker,
        new.cancel_requested,
        new.due,
        new.updated_at,
        new.run_at,
        new.started_at,
        new.finished_at,
        new.exit_code,
        new.signal,
        new.reason,
        new.message,
        old.seq,
        old.state,
        old.lease,
    )


def attempt_values(job: Job, end: AttemptEnd) -> tuple[Any, ...]:
    """Return the parameters of ``insert_attempt``."""
    return (
        job.seq,
        job.runs,
        end.lease,
        job.worker,
        end.started_at,
        end.finished_at,
        end.reason,
        end.exit_code,
        end.signal,
        end.message,
        end.max_rss,
        end.user_ms,
        end.system_ms,
        end.stdout_bytes,
        end.stderr_bytes,
    )


def attempt(row: tuple[Any, ...]) -> Attempt:
    """Return the attempt in a row of ``attempts``."""
    run, lease, worker, started_at, finished_at, reason = row[:6]
    end = AttemptEnd(lease, started_at, finished_at, Reason(reason), *row[6:])
    return Attempt(run, lease, worker, started_at, end)


def environment(variables: dict[str, str]) -> tuple[bytes, str]:
    """Return the key of an environment and the text that is stored under it."""
    text = json.dumps(variables, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).digest()[:KEY_BYTES], text


def _command(text: str) -> str | tuple[str, ...]:
    command = json.loads(text)
    return command if isinstance(command, str) else tuple(command)
