"""The standard streams, some of which may be closed when a program starts.

If one is closed, the next file or socket that the program opens gets its number, and
messages for a person go into that file.
"""

import os
import sys
from contextlib import suppress
from typing import TextIO

_AS_CLOSED = (os.O_WRONLY, os.O_RDONLY, os.O_WRONLY)
"""How /dev/null is opened as stdin, stdout and stderr. The first cannot be read and the
second cannot be written, so that either fails with EBADF, as a closed stream does.
Messages on stderr may be lost."""


def open_closed() -> None:
    """Open the closed ones of the three. Call it before anything else is opened."""
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


def discard(stream: TextIO) -> None:
    """Drop the unwritten rest of a stream, so that closing it at the end succeeds."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        stream.flush()
