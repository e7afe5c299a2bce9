"""What a job inherits from the process that enqueues it: cwd, umask, environment.

It only reads the state of this process. The variables that the daemon sets in a job are
left out: a job that enqueues another job must not pass on its own.
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
"""Variables that describe this process, or the job that it belongs to."""


def for_daemon(
    greeting: Mapping[str, Any], place: Place | None = None
) -> dict[str, Any]:
    """Return the job fields that a job of this daemon inherits.

    None if the daemon runs as another user, who may have no access to the directory and
    must not see the environment.

    Args:
        greeting: the daemon's greeting; its ``uid`` is the user that it runs as.
        place: the daemon's place, if it is known. If it is not the user's own, the job
            does not inherit ``QUEUECTL_HOME``: in the job it would name another queue
            than the one that runs it.
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
    """Refuse a job that would inherit a directory that is gone.

    It must not run in another directory unnoticed.

    Raises:
        CurrentDirectoryError: the job has no directory, and can inherit none.
    """
    if job.get("cwd") is None and "cwd" in lent and lent["cwd"] is None:
        raise CurrentDirectoryError


def absolute(path: str | os.PathLike[str]) -> str:
    """Return the absolute path, for a daemon that has another current directory.

    Raises:
        CurrentDirectoryError: the path is relative, and the current directory is gone.
    """
    try:
        return os.path.abspath(os.fspath(path))  # noqa: PTH100 - resolves no symlinks
    except FileNotFoundError:
        raise CurrentDirectoryError from None


def environment() -> dict[str, str]:
    """Return this process's environment without its ``PRIVATE`` variables."""
    return {name: value for name, value in os.environ.items() if name not in PRIVATE}


def _cwd() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109 - pathlib is slow to import
    except FileNotFoundError:
        return None


def _umask() -> int:
    # umask(2) reads the mask only by changing it, which affects other threads that
    # create files at that moment. Linux 4.7 and later has it here: proc_pid_status(5).
    with open("/proc/self/status", "rb") as status:  # noqa: PTH123 - as above
        for line in status:
            if line.startswith(b"Umask:"):
                return int(line.split()[1], 8)
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
