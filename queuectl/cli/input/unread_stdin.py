"""Data on standard input that a job does not get, as a job reads /dev/null."""

import fcntl
import os
import select
import stat
import struct
import termios

STDIN = 0


def identity() -> str | None:
    """Return an identity of this input if it has unread data, else None.

    That is a pipe with data, or a file at its beginning. A file further on belongs to
    somebody else, such as the loop of a script that reads it.
    """
    try:
        found = os.fstat(STDIN)
        lost = _holds_bytes(found)
    except OSError:
        return None  # it is closed, or of a kind that does not tell
    return f"{found.st_dev}:{found.st_ino}" if lost else None


def _holds_bytes(found: os.stat_result) -> bool:
    if stat.S_ISREG(found.st_mode):
        return found.st_size > 0 and os.lseek(STDIN, 0, os.SEEK_CUR) == 0
    if not (stat.S_ISFIFO(found.st_mode) or stat.S_ISSOCK(found.st_mode)):
        return False
    ready, _, _ = select.select([STDIN], [], [], 0)
    if not ready:
        return False
    # A pipe at its end is ready too, and has no data.
    answer = fcntl.ioctl(STDIN, termios.FIONREAD, struct.pack("i", 0))
    (waiting,) = struct.unpack("i", answer)
    return bool(waiting)
