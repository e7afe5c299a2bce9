"""Rows of the database as jobs and attempts, and back."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter, itemgetter
from typing import Any

from queuectl_protocol.vocabulary import JobState, Reason
from queuectld.core.fields.row import Kept
from queuectld.core.fields.table import BY_NAME
from queuectld.core.job import Attempt, AttemptEnd, Job
from queuectld.core.limits import NONE, Limits

_REASONS = {reason.value: reason for reason in Reason}

KEY_BYTES = 16
"""Of a SHA-256: 128 bits make two environments with one key as good as impossible."""


def job(row: tuple[Any, ...]) -> Job:
    """Return the job in a row of ``SELECT * FROM jobs``, whose order a job has."""
    values = list(row)
    for index, read in _READ:
        if (value := values[index]) is not None:
            values[index] = read(value)
    if values[_LIMITS] is None:
        values[_LIMITS] = NONE
    return Job._make(values)


def insert_values(job: Job) -> list[Any]:
    """Return the parameters of ``insert_job``."""
    values: list[Any] = list(job)
    for index, write in _WRITTEN:
        if (value := values[index]) is not None:
            values[index] = write(value)
    return values


def update_values(old: Job, new: Job) -> list[Any]:
    """Return the parameters of ``update_job``."""
    values: list[Any] = [*_changing(new), old.seq]
    for index, write in _REWRITTEN:
        if (value := values[index]) is not None:
            values[index] = write(value)
    values += (old.state._value_, old.lease, int(old.cancel_requested))
    return values


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


def _limits_text(limits: Limits) -> str | None:
    if limits is NONE:
        return None
    said = limits._asdict() | {"rlimits": dict(limits.rlimits)}
    return json.dumps({name: value for name, value in said.items() if value})


def _command(text: str) -> str | tuple[str, ...]:
    return _text(text) if text[0] == '"' else tuple(json.loads(text))


def _text(text: str) -> str:
    """Return the string that a JSON string in ASCII stands for."""
    # Nearly all hold nothing that was escaped.
    return text[1:-1] if "\\" not in text else json.loads(text)


_word = attrgetter("_value_")
"""``value`` of an enumeration costs two calls, and ``_value_`` none."""

Way = Callable[[Any], Any]

_WAYS: Mapping[Kept | None, tuple[Way, Way]] = {
    Kept.FLAG: (bool, int),
    Kept.STATE: ({state.value: state for state in JobState}.__getitem__, _word),
    Kept.REASON: (_REASONS.__getitem__, _word),
    Kept.UNIX: (_text, json.dumps),
    Kept.COMMAND: (_command, json.dumps),
    Kept.NUMBERS: (lambda text: tuple(json.loads(text)), json.dumps),
    Kept.LIMITS: (_limits, _limits_text),
}
"""How a value that is not NULL is read from its column, and how it is written: as a
plain type, for sqlite3 looks for an adapter of each value of any other."""


def _converted(names: Sequence[str]) -> list[tuple[int, Way, Way]]:
    """Return which of some columns are converted: where they are, and both ways."""
    kinds = [BY_NAME[name].kept for name in names]
    return [(i, *_WAYS[kind]) for i, kind in enumerate(kinds) if kind in _WAYS]


_CHANGES = [name for name in Job._fields if BY_NAME[name].changes]
_changing = itemgetter(*map(Job._fields.index, _CHANGES))

_READ = [(index, read) for index, read, _ in _converted(Job._fields)]
_WRITTEN = [(index, write) for index, _, write in _converted(Job._fields)]
_REWRITTEN = [(index, write) for index, _, write in _converted(_CHANGES)]
_LIMITS = Job._fields.index("limits")

LISTS: Mapping[str, str] = {
    "@columns": ", ".join("?" * len(Job._fields)),
    "@changes": ", ".join(f"{name} = ?" for name in _CHANGES),
}
"""What stands in ``queries.sql`` for a list of columns of ``jobs``."""
