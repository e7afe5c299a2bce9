"""What a job inherits from the process that enqueues it: cwd, umask, environment.

Only reads this process. Variables of a job's own are left out: the daemon sets them
anew, and a job that enqueues another is not that job.
"""

import os
from collections.abc import Mapping
from typing import Any

from queuectl.errors import CurrentDirectoryError
from queuectl.paths import Place, Queue
from queuectl_protocol.paths import IN_JOB

PRIVATE = frozenset(
    {
        "_",
        "OLDPWD",
        "SHLVL",
        "QUEUECTL_JOB_ID",
        "QUEUECTL_ATTEMPT",
        IN_JOB,
    }
)
"""Variables that describe this process, or the job it belongs to, and no other."""


def for_daemon(
    greeting: Mapping[str, Any], place: Place | None = None
) -> dict[str, Any]:
    """Return the job fields to lend to a job of this daemon.

    Nothing when the daemon runs as somebody else: a directory may be closed to that
    user, and an environment is not everybody's to read.

    Args:
        greeting: as the daemon sent it; ``uid`` is the user it runs as.
        place: where it is, if that is known. A ``QUEUECTL_HOME`` of another queue is
            not lent: in a job it would lead away from the queue that runs it.
    """
    if greeting.get("uid") != os.geteuid():
        return {}
    lent = capture()
    if place is not None and place.queue is not Queue.USER:
        lent["env"].pop("QUEUECTL_HOME", None)
    return lent


def capture() -> dict[str, Any]:
    """Return ``cwd``, ``umask`` and ``env`` of this process as fields of a job.

    ``cwd`` is None when the current directory was removed: see ``check``.
    """
    return {"cwd": _cwd(), "umask": f"{_umask():04o}", "env": environment()}


def check(job: Mapping[str, Any], lent: Mapping[str, Any]) -> None:
    """Refuse a job that needs a directory which is gone.

    It is not to run somewhere else in silence.

    Raises:
        CurrentDirectoryError: the job has no directory, and there is none to lend.
    """
    if job.get("cwd") is None and "cwd" in lent and lent["cwd"] is None:
        raise CurrentDirectoryError


def absolute(path: str | os.PathLike[str]) -> str:
    """Return a path as seen from here, for a daemon that is somewhere else.

    Raises:
        CurrentDirectoryError: the path is relative, and here is nowhere.
    """
    try:
        return os.path.abspath(os.fspath(path))  # noqa: PTH100 - resolves no symlinks
    except FileNotFoundError:
        raise CurrentDirectoryError from None


def environment() -> dict[str, str]:
    """Return this process's environment without what is private to it."""
    return {name: value for name, value in os.environ.items() if name not in PRIVATE}


def _cwd() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109 - pathlib is slow to import
    except FileNotFoundError:
        return None


def _umask() -> int:
    # umask(2) can only be read by changing it, which races with other threads that
    # create files; the kernel tells it here since 4.7. See proc_pid_status(5).
    with open("/proc/self/status", "rb") as status:  # noqa: PTH123 - as above
        for line in status:
            if line.startswith(b"Umask:"):
                return int(line.split()[1], 8)
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
