"""Jobs, attempts, workers and statistics in the form that travels.

Times become RFC 3339, durations seconds; null is "there is none".
"""

from dataclasses import asdict
from functools import lru_cache
from operator import itemgetter
from typing import Any

from queuectl_protocol.units import format_time
from queuectld.core import unixtext
from queuectld.core.fields import texts
from queuectld.core.fields.table import FIELDS
from queuectld.core.job import Attempt, Job
from queuectld.core.limits import CONTROLLER, Means
from queuectld.core.settings import SETTINGS, Setting, Value
from queuectld.core.statistics import Stats
from queuectld.server.health.checks import Check
from queuectld.workers.daemon_side.handle import WorkerHandle

Wire = dict[str, Any]


def time(ms: int | None) -> str | None:
    """Return RFC 3339 with milliseconds: a listing asks for thousands of them."""
    return None if ms is None else f"{_second(ms // 1000)}{ms % 1000:03d}Z"


@lru_cache(maxsize=4096)
def _second(seconds: int) -> str:
    """Return what times of one second have in common: ``2026-12-01T10:00:00.``."""
    return format_time(seconds * 1000)[: -len("000Z")]


def number(value: float) -> float:
    """Return a whole number as one: it reads 300, not 300.0, however it was stored."""
    whole = int(value)
    return whole if whole == value else value


_TOLD = [(field, told) for field in FIELDS if (told := field.told) and told.always]
_KEYS = [field.name for field, _ in _TOLD]
_attributes = itemgetter(*(0 if f.of else Job._fields.index(f.name) for f, _ in _TOLD))
_DERIVED = [(index, f.of) for index, (f, _) in enumerate(_TOLD) if f.of]
_BY_TYPE = {"time": time, "seconds": number, "number": number}
_WRITTEN = [
    (index, write)
    for index, (_, told) in enumerate(_TOLD)
    if (write := told.write or _BY_TYPE.get(told.type.split()[0]))
]


def job(job: Job) -> Wire:
    """Return a job without its environment, which is never in a listing."""
    values = list(_attributes(job))
    for index, of in _DERIVED:
        values[index] = of(job)
    for index, write in _WRITTEN:
        if (value := values[index]) is not None:
            values[index] = write(value)
    return dict(zip(_KEYS, values, strict=True))


def brief(job: Job) -> Wire:
    """Return what changes of a job in its life; a few hundred bytes."""
    return {
        "id": job.id,
        "state": job.state,
        "attempts": job.attempts,
        "max_retries": job.max_retries,
        "runs": job.runs,
        "run_at": time(job.run_at),
        "updated_at": time(job.updated_at),
        "exit_code": job.exit_code,
        "signal": job.signal,
        "reason": job.reason,
        "cancel_requested": job.cancel_requested,
    }


def weight(job: Job) -> int:
    """Return bytes that ``job(job)`` surely does not exceed on the wire."""
    # A character has at most four bytes in UTF-8; keys and numbers have under 1,300.
    return 1300 + 4 * texts.character_count(job)


def attempt(attempt: Attempt) -> Wire:
    """Return an attempt; one that runs has no reason and no end."""
    end = attempt.end
    return {
        "run": attempt.run,
        "lease": attempt.lease,
        "worker": attempt.worker,
        "started_at": time(attempt.started_at),
        "finished_at": end and time(end.finished_at),
        "reason": end and end.reason,
        "exit_code": end and end.exit_code,
        "signal": end and end.signal,
        "message": end and end.message and unixtext.shown(end.message),
        "max_rss": end and end.max_rss,
        "user_ms": end and end.user_ms,
        "system_ms": end and end.system_ms,
        "stdout_bytes": end and end.stdout_bytes,
        "stderr_bytes": end and end.stderr_bytes,
        "memory_peak": end and end.memory_peak,
    }


def attempt_weight(attempt: Attempt) -> int:
    """Return bytes that ``attempt(attempt)`` surely does not exceed on the wire."""
    message = attempt.end and attempt.end.message
    return 500 + 4 * len(message or "")


def means(means: Means) -> Wire:
    """Return what jobs can be held to, and why to no more."""
    short = not means.controllers.issuperset(CONTROLLER.values())
    return {
        "controllers": sorted(means.controllers),
        "missing": means.missing if short else None,
    }


def worker(worker: WorkerHandle) -> Wire:
    """Return a worker and what it runs."""
    run = worker.attempt
    return {
        "worker": worker.number,
        "pid": worker.pid,
        "state": worker.state,
        "job": run and run.job_id,
        "run": run and run.run,
        "started_at": time(worker.started_at),
        "run_started_at": run and time(run.started_at),
        "adopted": worker.adopted,
        "bound": worker.owner is not None,
        "reserved": worker.only_for is not None,
    }


def check(check: Check) -> Wire:
    """Return what doctor found, for people."""
    shown = {"detail": unixtext.shown(check.detail)}
    if check.advice is not None:
        shown["advice"] = unixtext.shown(check.advice)
    return asdict(check) | shown


def stats(stats: Stats) -> Wire:
    """Return statistics; a spread of nothing is null."""
    return asdict(stats) | {
        "since": time(stats.since),
        "run": asdict(stats.run) if stats.run.count else None,
        "wait": asdict(stats.wait) if stats.wait.count else None,
    }


def setting(setting: Setting, stored: dict[str, Value]) -> Wire:
    """Return a setting with its value in force, given those that were set."""
    return {
        "key": setting.key,
        "value": _plain(stored.get(setting.key, setting.default)),
        "default": setting.default,
        "is_default": setting.key not in stored,
        "kind": setting.kind,
        "minimum": setting.minimum,
        "maximum": setting.maximum,
        "applies": setting.applies,
        "doc": setting.doc,
    }


def _plain(value: Value) -> Value:
    return value if isinstance(value, str) else number(value)


def settings(stored: dict[str, Value]) -> list[Wire]:
    """Return all settings, in the order of their table."""
    return [setting(each, stored) for each in SETTINGS.values()]
