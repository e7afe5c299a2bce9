"""Notes that are not repeated within a minute, however often a command is called.

The time of the last note is kept in the state directory of the user's own queue, or if
there is none in the session's runtime directory. If it cannot be kept, the note is
written each time.
"""

import fcntl
import os
import stat
import time

from queuectl.cli.view import output
from queuectl.paths import Place

INTERVAL = 60.0
"""Seconds in which a note is not repeated."""

_MAX_CONTENT = 4096
"""Bytes that are compared of what a note was about."""


def no_workers(place: Place) -> None:
    """Note that nothing will run the jobs."""
    note(place, "no-workers", output.NO_WORKERS)


def note(place: Place, topic: str, content: str, *, about: str = "") -> None:
    """Write a note for people, unless the same was written in the last minute.

    Args:
        place: the queue.
        topic: names the note, and the file that keeps its time.
        content: the note.
        about: what it is about; a note about something else is another one.
    """
    try:
        path = f"{_prefix(place.state_dir)}told-{topic}"
        due = _claim(path, f"{place.socket} {about}")
    except (OSError, ValueError):
        due = True
    if due:
        output.note(content)


def _prefix(state: str) -> str:
    """Return how the paths of the files begin; no directory is made for them.

    Raises:
        OSError: there is no directory for them.
    """
    if os.path.isdir(state):  # noqa: PTH112 - pathlib is slow to import
        return f"{state}/"
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if not os.path.isabs(runtime):  # noqa: PTH117 - as above
        raise FileNotFoundError(runtime)
    return f"{runtime}/queuectl-"


def _claim(path: str, about: str) -> bool:
    """Record that the note is written now; return False if it was not long ago."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    file = os.open(path, flags, 0o600)
    try:
        # A file that is locked belongs to a command that writes the note right now.
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode):
            return True
        age = time.time() - found.st_mtime
        content = about.encode("utf-8", "surrogateescape")[:_MAX_CONTENT]
        known = os.read(file, _MAX_CONTENT) == content
        if known and 0 <= age < INTERVAL:
            return False
        os.ftruncate(file, 0)
        os.pwrite(file, content, 0)
    except BlockingIOError:
        return False
    finally:
        os.close(file)
    return True
