"""The last resort of a worker that has something to say and no daemon to hear it."""

import contextlib
import os


def write(message: str) -> None:
    """Write a line to stderr, which is the daemon's; never fails."""
    line = f"queuectld worker: {message}\n".encode(errors="backslashreplace")
    with contextlib.suppress(OSError):
        os.write(2, line)
