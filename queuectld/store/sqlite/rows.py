"""Rows of the database as jobs and attempts, and back."""

import hashlib
import json
from typing import Any

from queuectl_protocol.vocabulary import JobState, Reason
from queuectld.core.job import Attempt, AttemptEnd, Job
from queuectld.core.limits import NONE, Limits

(
    _COMMAND, _CWD, _STATE, _CANCEL_REQUESTED, _DUE, _REASON, _LIMITS, _GROUPS, _SHELL,
    _FOREGROUND,
) = map(
    Job._fields.index,
    (
        "command", "cwd", "state", "cancel_requested", "due", "reason", "limits",
        "groups", "shell", "foreground",
    ),
)  # fmt: skip
_STATES = {state.value: state for state in JobState}
_REASONS = {reason.value: reason for reason in Reason}

KEY_BYTES = 16
"""Of a SHA-256: 128 bits make two environments with one key as good as impossible."""


def job(row: tuple[Any, ...]) -> Job:
    """Return the job in a row of ``SELECT * FROM jobs``, whose order a job has."""
    values = list(row)
    values[_COMMAND] = _command(row[_COMMAND])
    values[_CWD] = row[_CWD] and _text(row[_CWD])
    values[_STATE] = _STATES[row[_STATE]]
    values[_CANCEL_REQUESTED] = row[_CANCEL_REQUESTED] != 0
    values[_DUE] = row[_DUE] if row[_DUE] is None else row[_DUE] != 0
    values[_REASON] = row[_REASON] and _REASONS[row[_REASON]]
    values[_LIMITS] = NONE if row[_LIMITS] is None else _limits(row[_LIMITS])
    values[_GROUPS] = row[_GROUPS] and tuple(json.loads(row[_GROUPS]))
    values[_SHELL] = row[_SHELL] and _text(row[_SHELL])
    values[_FOREGROUND] = row[_FOREGROUND] != 0
    return Job._make(values)


def insert_values(job: Job) -> list[Any]:
    """Return the parameters of ``insert_job``."""
    values: list[Any] = list(job)
    values[_COMMAND] = json.dumps(job.command)
    values[_CWD] = job.cwd and json.dumps(job.cwd)
    # Plain values: sqlite3 looks for an adapter of each that is of another type. And
    # ``value`` of an enumeration is two calls, ``_value_`` none.
    values[_STATE] = job.state._value_
    values[_CANCEL_REQUESTED] = int(job.cancel_requested)
    values[_DUE] = job.due if job.due is None else int(job.due)
    values[_REASON] = job.reason and job.reason._value_
    values[_LIMITS] = None if job.limits is NONE else _limits_text(job.limits)
    values[_GROUPS] = job.groups and json.dumps(job.groups)
    values[_SHELL] = job.shell and json.dumps(job.shell)
    values[_FOREGROUND] = int(job.foreground)
    return values


def update_values(old: Job, new: Job) -> tuple[Any, ...]:
    """Return the parameters of ``update_job``."""
    return (
        new.state._value_,
        new.attempts,
        new.runs,
        new.losses,
        new.lease,
        new.worker,
        int(new.cancel_requested),
        new.due if new.due is None else int(new.due),
        new.updated_at,
        new.run_at,
        new.started_at,
        new.finished_at,
        new.exit_code,
        new.signal,
        new.reason and new.reason._value_,
        new.message,
        old.seq,
        old.state._value_,
        old.lease,
        int(old.cancel_requested),
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
        end.reason._value_,
        end.exit_code,
        end.signal,
        end.message,
        end.max_rss,
        end.user_ms,
        end.system_ms,
        end.stdout_bytes,
        end.stderr_bytes,
        end.memory_peak,
    )


def attempt(row: tuple[Any, ...]) -> Attempt:
    """Return the attempt in a row of ``attempts``."""
    run, lease, worker, started_at, finished_at, reason = row[:6]
    end = AttemptEnd(lease, started_at, finished_at, _REASONS[reason], *row[6:])
    return Attempt(run, lease, worker, started_at, end)


def environment(variables: dict[str, str]) -> tuple[bytes, str]:
    """Return the key of an environment and the text that is stored under it."""
    text = json.dumps(variables, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).digest()[:KEY_BYTES], text


def _limits(text: str) -> Limits:
    found = json.loads(text)
    rlimits = tuple(sorted(found.pop("rlimits", {}).items()))
    return Limits(**found, rlimits=rlimits)


def _limits_text(limits: Limits) -> str:
    said = limits._asdict() | {"rlimits": dict(limits.rlimits)}
    return json.dumps({name: value for name, value in said.items() if value})


def _command(text: str) -> str | tuple[str, ...]:
    return _text(text) if text[0] == '"' else tuple(json.loads(text))


def _text(text: str) -> str:
    """Return the string that a JSON string in ASCII stands for."""
    # Nearly all hold nothing that was escaped.
    return text[1:-1] if "\\" not in text else json.loads(text)
