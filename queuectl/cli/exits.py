"""Exit statuses: which outcome ends the program with which number.

The only such table; ``queuectl --help`` and the README say the same.
"""

from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Any

from queuectl.errors import DaemonNotRunningError, QueuectlError


class Status(IntEnum):
    """The statuses of queuectl itself. A job's exit code can be any of them too."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NO_DAEMON = 3
    UNSAID = 4  # done, but its result could not be written to stdout
    TIMED_OUT = 124  # as timeout(1)
    NOT_STARTED = 127  # as a shell that finds no such command
    SIGNALLED = 128  # plus the signal's number, as a shell
    CANCELLED = 130  # as a shell after Ctrl-C


_OF_ERROR: tuple[tuple[type[QueuectlError], Status], ...] = (
    (DaemonNotRunningError, Status.NO_DAEMON),
    (QueuectlError, Status.FAILED),
)

_OF_REASON = {
    "timeout": Status.TIMED_OUT,
    "spawn_error": Status.NOT_STARTED,
}


def of_error(error: QueuectlError) -> int:
    """Return the exit status of a command that ends with this error."""
    return next(status for kind, status in _OF_ERROR if isinstance(error, kind))


def of_job(job: Mapping[str, Any]) -> int:
    """Return the exit status for a job in a final state: its own exit code, if any."""
    if job["state"] == "completed":
        return Status.OK
    if job["state"] == "cancelled":
        return Status.CANCELLED
    if status := _OF_REASON.get(job["reason"]):
        return status
    if job["signal"]:
        return Status.SIGNALLED + int(job["signal"])
    return int(job["exit_code"] or Status.FAILED)


def first_failure(statuses: Iterable[int]) -> int:
    """Return the first status that is not success, else success."""
    return next((status for status in statuses if status), Status.OK)
