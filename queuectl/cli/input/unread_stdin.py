"""Standard input that a job does not get: its own is /dev/null."""

import fcntl
import os
import select
import stat
import struct
import termios

STDIN = 0


def identity() -> str | None:
    """Return what tells this input from others; None when nothing is lost.

    Something is when bytes wait in a pipe, or a file is open at its beginning: one
    that was read before, as by the loop of a script, is somebody else's.
    """
    try:
        found = os.fstat(STDIN)
        lost = _holds_bytes(found)
    except OSError:
        return None  # closed, or of a kind that cannot be asked
    return f"{found.st_dev}:{found.st_ino}" if lost else None


def _holds_bytes(found: os.stat_result) -> bool:
    if stat.S_ISREG(found.st_mode):
        return found.st_size > 0 and os.lseek(STDIN, 0, os.SEEK_CUR) == 0
    if not (stat.S_ISFIFO(found.st_mode) or stat.S_ISSOCK(found.st_mode)):
        return False
    ready, _, _ = select.select([STDIN], [], [], 0)
    if not ready:
        return False
    # At the end of a pipe there is nothing to be read either.
    answer = fcntl.ioctl(STDIN, termios.FIONREAD, struct.pack("i", 0))
    (waiting,) = struct.unpack("i", answer)
    return bool(waiting)
