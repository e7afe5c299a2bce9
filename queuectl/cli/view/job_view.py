"""Jobs and attempts as people read them. Pure: jobs off the wire in, text out.

A new field that is shown is a row of ``facts``.
"""

import shlex
from collections.abc import Callable, Mapping
from signal import Signals
from types import MappingProxyType
from typing import Any

from queuectl.cli.view import text, times
from queuectl.cli.view.table import Cell, Column, Row
from queuectl_protocol.rlimits import INFINITY, RLIMITS
from queuectl_protocol.units import format_duration, format_size

Fields = Mapping[str, Any]
"""A job or an attempt in its JSON form."""

COLUMNS = (
    Column("ID"),
    Column("STATE"),
    Column("RUNS", spare=2),
    Column("PRIORITY", right=True, spare=4),
    Column("AGE", right=True, spare=3),
    Column("RESULT", flexible=True, spare=1, least=24),
    Column("LABEL", flexible=True, spare=5, least=8),
    Column("COMMAND", flexible=True, least=16),
)

ATTEMPT_COLUMNS = (
    Column("RUN", right=True),
    Column("STARTED"),
    Column("TOOK", right=True),
    Column("RESULT"),
    Column("WORKER", right=True, spare=1),
    Column("CPU", right=True, spare=4),
    Column("MEMORY", right=True, spare=3),
    Column("PEAK", right=True, spare=3),
    Column("STDOUT", right=True, spare=2),
    Column("STDERR", right=True, spare=2),
    Column("MESSAGE", flexible=True, spare=5),
)


_LIMITS: Mapping[str, Callable[[Any], str]] = MappingProxyType(
    {
        "memory_max": lambda size: f"memory {format_size(size)}",
        "cpu_quota": lambda percent: f"cpu {percent:g}%",
        "tasks_max": lambda count: f"{count} tasks",
        "nice": lambda number: f"nice {number}",
    }
)
"""Field -> how it is shown in the row of limits."""


def row(job: Fields, *, now: float, style: str | None = None) -> Row:
    """Return a job's row under ``COLUMNS``."""
    return (
        job["id"],
        Cell(job["state"], style),
        f"{job['attempts']}/{job['max_retries'] + 1}",
        str(job["priority"]) if job["priority"] else "",
        times.age(job["created_at"], now),
        detail(job, now),
        job["label"] or "",
        command(job["command"]),
    )


def attempt_row(attempt: Fields, *, now: float) -> Row:
    """Return an attempt's row under ``ATTEMPT_COLUMNS``."""
    ended = attempt["reason"] is not None
    started = attempt["started_at"]
    running = f"running {_since(started, now)}".rstrip()
    return (
        str(attempt["run"]),
        times.local(started),
        times.between(started, attempt["finished_at"]),
        outcome(attempt) if ended else running,
        _text(attempt["worker"]),
        _cpu(attempt),
        _size(attempt["max_rss"]),
        _size(attempt.get("memory_peak")),
        _size(attempt["stdout_bytes"]),
        _size(attempt["stderr_bytes"]),
        attempt["message"] or "",
    )


def command(value: str | list[str]) -> str:
    """Return a command as one types it in a shell."""
    return value if isinstance(value, str) else shlex.join(value)


def outcome(fields: Fields) -> str:
    """Return how a run ended: ``exit 7``, ``SIGKILL``, ``timeout``, ``lost`` ..."""
    match fields["reason"]:
        case None:
            return ""
        case "exit":
            return f"exit {fields['exit_code']}"
        case "signal":
            return signal_name(fields["signal"])
        case reason:
            return str(reason).replace("_", " ")


def brief_failure(job: Fields) -> str:
    """Return ``failure`` for a list: without the PATH, which only ``show`` has."""
    return failure(job).partition("; the job's PATH is ")[0]


def failure(job: Fields) -> str:
    """Return how a job's last run ended; if it never began, also why."""
    why = job["message"] if job["reason"] == "spawn_error" else None
    return f"{outcome(job)}: {why}" if why else outcome(job)


def signal_name(number: int | None) -> str:
    """Return ``SIGKILL`` for 9."""
    try:
        return Signals(number or 0).name
    except ValueError:
        return f"signal {number}"


def state(job: Fields) -> str:
    """Return a job's state, with the reason if it failed or expired."""
    explained = job["state"] in {"failed", "dead"} or job["reason"] == "expired"
    return f"{job['state']} ({failure(job)})" if explained else str(job["state"])


def sentence(job: Fields) -> str:
    """Return a job's id and state as one line."""
    return text.escape(f"{job['id']}: {state(job)}")


def detail(job: Fields, now: float) -> str:
    """Return the cell RESULT of a list: what matters in the job's state."""
    match job["state"]:
        case "processing":
            ending = ", cancelling" if job.get("cancel_requested") else ""
            return f"running {_since(job['started_at'], now)}{ending}"
        case "pending":
            return _until(job["run_at"], now, "in")
        case "failed":
            again = _until(job["run_at"], now, "again in") or "again now"
            return f"{brief_failure(job)}, {again}"
        case "completed":
            return f"took {times.between(job['started_at'], job['finished_at'])}"
        case "dead" | "cancelled" if job["reason"] != "cancelled":
            return brief_failure(job)
        case _:
            return ""


def facts(job: Fields, *, now: float) -> list[tuple[str, str]]:
    """Return titles and values of one job; an empty value is not shown."""
    return [
        ("Command", command(job["command"])),
        ("Label", job["label"] or ""),
        ("Result", _result(job)),
        ("Message", job["message"] or ""),
        ("Runs", f"{job['attempts']} of at most {job['max_retries'] + 1}"),
        ("Priority", str(job["priority"])),
        ("Created", _moment(job["created_at"], now)),
        ("Not before", _future(job["run_at"], now)),
        ("Expires", _future(job.get("expires"), now)),
        ("Started", _moment(job["started_at"], now)),
        ("Finished", _moment(job["finished_at"], now)),
        ("Timeout", _limit(job["timeout"], format_duration)),
        ("Backoff", _backoff(job)),
        ("Output limit", _limit(job["output_limit"], format_size)),
        ("Limits", _limits(job)),
        ("Rlimits", _rlimits(job.get("rlimits", {}))),
        ("Shell", _shell(job)),
        ("Directory", job["cwd"] or ""),
        ("Umask", job["umask"] or ""),
        ("Worker", _text(job["worker"])),
        ("Submitter", _submitter(job["submitter"])),
        ("Foreground", _foreground(job)),
    ]


def _shell(job: Fields) -> str:
    """Return the shell, if it is not the default one."""
    shell = job.get("shell")
    return "" if shell in {None, "/bin/sh"} else str(shell)


def _foreground(job: Fields) -> str:
    return "yes: dlq retry --all leaves it out" if job.get("foreground") else ""


def _result(job: Fields) -> str:
    return outcome(job) if job["finished_at"] is not None else ""


def _backoff(job: Fields) -> str:
    return (
        f"{job['backoff_base']:g} ** attempts seconds, "
        f"at most {format_duration(job['backoff_max'])}"
    )


def _limits(job: Fields) -> str:
    """Return the limits that are set; older daemons have none."""
    set_ones = [(key, job[key]) for key in _LIMITS if job.get(key)]
    return ", ".join(_LIMITS[key](value) for key, value in set_ones)


def _rlimits(limits: Mapping[str, int]) -> str:
    """Return resource limits in words: ``core 0 B, nofile 1024``."""
    return ", ".join(f"{name} {_rlimit(name, limits[name])}" for name in limits)


def _rlimit(name: str, value: int) -> str:
    if value == INFINITY:
        return "infinity"
    unit = RLIMITS.get(name, "").partition(" ")[0]  # a newer daemon may know others
    match unit:
        case "bytes":
            return format_size(value)
        case "seconds":
            return format_duration(value)
    return str(value)


def _submitter(uid: int | None) -> str:
    return "" if uid is None else f"uid {uid}"


def _limit(value: float, written: Any) -> str:
    return str(written(value)) if value else "none"


def _moment(time: str | None, now: float) -> str:
    if time is None:
        return ""
    return f"{times.local(time)} ({times.age(time, now)} ago)"


def _future(time: str | None, now: float) -> str:
    until = _until(time, now, "in")
    return f"{times.local(time)} ({until})" if until else ""


def _since(time: str | None, now: float) -> str:
    return "" if time is None else times.age(time, now)


def _until(time: str | None, now: float, word: str) -> str:
    if time is None or times.seconds(time) <= now:
        return ""
    return f"{word} {format_duration(times.seconds(time) - now)}"


def _cpu(attempt: Fields) -> str:
    if attempt["user_ms"] is None:
        return ""
    return times.duration((attempt["user_ms"] + (attempt["system_ms"] or 0)) / 1000)


def _size(size: int | None) -> str:
    return "" if size is None else format_size(size)


def _text(value: object) -> str:
    return "" if value is None else str(value)
