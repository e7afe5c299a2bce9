"""Reports of internal errors: the details go to a file, one line goes to the person."""

import os
import sys
import tempfile
import time
import traceback

from queuectl import paths
from queuectl.errors import SocketPathError
from queuectl_protocol import __version__

LOG_NAME = "queuectl-errors.log"
"""In the state directory, beside the daemon's own log."""

MAX_SIZE = 1024 * 1024
"""Bytes of the log file; at this size it begins anew."""


def report(error: BaseException) -> str:
    """Write the details of an internal error to a file; return the line to show.

    Of the command line only the command's name is written: the rest may hold secrets.
    """
    what = f"internal error: {type(error).__name__}: {error}"
    details = "".join(traceback.format_exception(error))
    moment = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    entry = f"{moment} queuectl {__version__} {sys.argv[1:2]}\n{details}\n"
    try:
        path = _append(entry.encode("utf-8", "backslashreplace"))
    except OSError as unwritable:
        return f"queuectl: {what}; the details cannot be kept: {unwritable.strerror}"
    return f"queuectl: {what}; please report it with the details, which are in {path}"


def _append(entry: bytes) -> str:
    fd, path = _open()
    with os.fdopen(fd, "ab") as file:
        if file.tell() > MAX_SIZE:
            file.truncate(0)
        file.write(entry)
    return path


def _open() -> tuple[int, str]:
    """Open the log in the state directory, or a temporary file if there is none."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        path = os.path.join(paths.find().state_dir, LOG_NAME)  # noqa: PTH118
        return os.open(path, flags, 0o600), path
    except (OSError, SocketPathError):
        return tempfile.mkstemp(prefix="queuectl-", suffix=".log")
