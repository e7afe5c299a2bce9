"""What nobody thought of: kept in a file for those who mend it, told in one line."""

import os
import sys
import tempfile
import time
import traceback

from queuectl import paths
from queuectl.errors import SocketPathError
from queuectl_protocol import __version__

LOG_NAME = "queuectl-errors.log"
"""Beside the daemon's own log, where there is a state directory."""

MOST = 1024 * 1024
"""Bytes of such a log; then it begins anew."""


def report(error: BaseException) -> str:
    """Write the details of a fault of ours to a file; return what to tell a person."""
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
        if file.tell() > MOST:
            file.truncate(0)
        file.write(entry)
    return path


def _open() -> tuple[int, str]:
    """Open the log in the state directory, else a file of its own. Makes no directory.

    The command line is not in it beyond the command's name: it may have secrets.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        path = os.path.join(paths.find().state_dir, LOG_NAME)  # noqa: PTH118
        return os.open(path, flags, 0o600), path
    except (OSError, SocketPathError):
        return tempfile.mkstemp(prefix="queuectl-", suffix=".log")
