"""Remarks that are worth making once in a while, and not at each of a thousand calls.

When one was made last is kept in the state directory of one's own queue, or for want of
one in the session's runtime directory. Where it cannot be kept the remark is made each
time: better said too often than never.
"""

import fcntl
import os
import stat
import time

from queuectl.cli.connector import Connector
from queuectl.cli.view import output
from queuectl.errors import SocketPathError

INTERVAL = 60.0
"""Seconds in which a remark is not repeated."""

_MOST = 4096
"""Bytes that are read of what a remark was about."""


def note(connector: Connector, topic: str, content: str, *, about: str = "") -> None:
    """Write a note for people, unless the same was noted not long ago.

    Args:
        connector: tells the queue.
        topic: names the remark; a file is named after it.
        content: the note.
        about: what it is about; one about something else is another one.
    """
    if _due(connector, topic, about):
        output.note(content)


def _due(connector: Connector, topic: str, about: str) -> bool:
    try:
        place = connector.place
        path = f"{_prefix(place.state_dir)}told-{topic}"
        return _claimed(path, f"{place.socket} {about}")
    except (OSError, ValueError, SocketPathError):
        return True


def _prefix(state: str) -> str:
    """Return how the names of stamps begin; no state directory is made for them.

    Raises:
        OSError: there is no place for them.
    """
    if os.path.isdir(state):  # noqa: PTH112 - pathlib is slow to import
        return f"{state}/"
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if not runtime.startswith("/"):
        raise FileNotFoundError(runtime)
    return f"{runtime}/queuectl-"


def _claimed(path: str, about: str) -> bool:
    """Note that the remark is made now; return False if it was made not long ago."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    stamp = os.open(path, flags, 0o600)
    try:
        # Who finds it locked calls while somebody else makes the remark.
        fcntl.flock(stamp, fcntl.LOCK_EX | fcntl.LOCK_NB)
        found = os.fstat(stamp)
        if not stat.S_ISREG(found.st_mode):
            return True
        age = time.time() - found.st_mtime
        content = about.encode("utf-8", "surrogateescape")[:_MOST]
        known = os.read(stamp, _MOST) == content
        if known and 0 <= age < INTERVAL:
            return False
        os.ftruncate(stamp, 0)
        os.pwrite(stamp, content, 0)
    except BlockingIOError:
        return False
    finally:
        os.close(stamp)
    return True
