"""The standard streams, which whoever starts a program may have closed.

Where one is closed, the next file or socket that the program opens gets its number,
and what is meant for a person goes into that file.
"""

import os
import sys
from contextlib import suppress
from typing import TextIO

_AS_CLOSED = (os.O_WRONLY, os.O_RDONLY, os.O_WRONLY)
"""How /dev/null is opened as stdin, stdout and stderr. From the first nothing can be
read and to the second nothing be written, so that what must be read or written fails
with EBADF, as it would with the stream closed. Notes on stderr are nobody's loss."""


def complete() -> None:
    """Open what is closed of the three. Call it before anything else is opened."""
    for fd, mode in enumerate(_AS_CLOSED):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, mode)  # gets this number: the lowest that is free
            os.set_inheritable(fd, True)
    # Python has None for a stream that was closed when it started.
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115


def abandon(stream: TextIO) -> None:
    """Drop what a stream still holds and cannot be written, lest the end stumble."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        stream.flush()
