"""A job to be enqueued: what a caller may say, and how that is written on the wire.

Checks no values: the daemon does, and names the field that is wrong.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, TypedDict

from queuectl import inherit
from queuectl_protocol.units import format_time

Command = str | Sequence[str]
"""A line for a shell (``/bin/sh -c``), or an exact argument vector."""

Seconds = float | timedelta


class JobOptions(TypedDict, total=False):
    """What can be said of a job besides its command; None is the same as unsaid.

    Attributes:
        id: an id of your own, not of digits alone; generated unless given.
        priority: higher runs first; 0 unless given.
        max_retries: runs after the first.
        timeout: for one run; 0 means none.
        delay: how long to wait before the first run.
        run_at: when to run it first, instead of ``delay``: an aware datetime.
        backoff_base: the n-th retry comes after ``backoff_base ** n`` seconds,
        backoff_max: or after this if it is less,
        backoff_jitter: and up to this share of it later.
        output_limit: bytes; 0 means none.
        cwd: working directory.
        env: variables: besides the inherited ones, or all there are without them.
        umask: as a number (``0o022``) or in octal (``"0022"``).
        label: free text for people.
        queue: ``default``, the only one there is.
        nice: added to the niceness of its processes, -20 to 19.
        memory_max: bytes of all its processes together; 0 means no limit.
        cpu_quota: percent of one processor, for all of them; 0 means no limit.
        tasks_max: processes and threads at a time; 0 means no limit.
        rlimits: resource limits of each process, by the names of prlimit(1), such as
            ``nofile`` or ``core``; -1 (``resource.RLIM_INFINITY``) is infinity.
        shell: absolute path of what runs the command, if that is one line.
        foreground: somebody sees how it ends. ``retry_all`` can leave it out.
        expires: it is cancelled unless it is started before: an aware datetime, or
            how long from now.
    """

    id: str | None
    priority: int | None
    max_retries: int | None
    timeout: Seconds | None
    delay: Seconds | None
    run_at: datetime | None
    backoff_base: float | None
    backoff_max: Seconds | None
    backoff_jitter: float | None
    output_limit: int | None
    cwd: str | os.PathLike[str] | None
    env: Mapping[str, str] | None
    umask: int | str | None
    label: str | None
    queue: str | None
    nice: int | None
    memory_max: int | None
    cpu_quota: float | None
    tasks_max: int | None
    rlimits: Mapping[str, int] | None
    shell: str | None
    foreground: bool | None
    expires: datetime | Seconds | None


class NewJob(JobOptions):
    """A job of a batch: its command, and any of the options."""

    command: Command


def to_wire(job: Mapping[str, Any], inherited: Mapping[str, Any]) -> dict[str, Any]:
    """Return the job's fields as the daemon reads them.

    Args:
        job: a ``NewJob``; names that are not of it are left to the daemon to refuse.
        inherited: fields lent by this process (see ``queuectl.inherit``). They are not
            added; only its ``env`` is used, to complete the job's own.

    Raises:
        CurrentDirectoryError: the job needs a directory which is gone.
        TypeError: a value is of a type that cannot be sent.
        ValueError: ``run_at`` or ``expires`` has no time zone.
    """
    fields = {
        name: _TO_WIRE[name](value) if name in _TO_WIRE else value
        for name, value in job.items()
        if value is not None
    }
    if "expires" in fields and not isinstance(fields["expires"], str):
        fields["expires_in"] = fields.pop("expires")
    if "env" in fields:
        fields["env"] = {**inherited.get("env", {}), **fields["env"]}
    inherit.check(fields, inherited)
    return fields


def seconds(value: Seconds) -> float:
    """Return a duration as the wire has it."""
    return value.total_seconds() if isinstance(value, timedelta) else value


def _command(value: Command) -> str | list[str]:
    return value if isinstance(value, str) else [os.fspath(word) for word in value]


def _run_at(value: datetime) -> str:
    return _time("run_at", value)


def _expires(value: datetime | Seconds) -> str | float:
    return _time("expires", value) if isinstance(value, datetime) else seconds(value)


def _time(name: str, value: datetime) -> str:
    if value.tzinfo is None:
        raise ValueError(
            f"{name} {value} has no time zone; write datetime.now(UTC) + ..., "
            "or local.astimezone()"
        )
    return format_time(round(value.timestamp() * 1000))


def _umask(value: int | str) -> str:
    return value if isinstance(value, str) else f"{value:04o}"


_TO_WIRE: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "command": _command,
        "timeout": seconds,
        "delay": seconds,
        "backoff_max": seconds,
        "run_at": _run_at,
        "expires": _expires,
        "cwd": inherit.absolute,
        "umask": _umask,
        "rlimits": dict,
    }
)
"""Fields whose Python type is another than the wire's."""
