"""Exit statuses: which outcome ends the program with which number.

The one table of its kind; ``queuectl --help`` and the README tell the same.
"""

import os
import signal
from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Any, NoReturn

from queuectl.errors import DaemonNotRunningError, QueuectlError


class Status(IntEnum):
    """The numbers of our own. A job's own code can be any of them too."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NO_DAEMON = 3
    UNSAID = 4  # done, and stdout did not take what it says
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
    """Return the status of a command that ended with this error."""
    return next(status for kind, status in _OF_ERROR if isinstance(error, kind))


def of_job(job: Mapping[str, Any]) -> int:
    """Return the status for a job in a final state: its own code, where it has one."""
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
    """Return the first status that is no success, else success."""
    return next((status for status in statuses if status), Status.OK)


def die_of(number: signal.Signals) -> NoReturn:
    """End this process by a signal, as its parent expects after one."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    raise SystemExit(Status.SIGNALLED + number)  # somebody has blocked the signal
