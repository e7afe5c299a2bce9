"""Programs that read commands from standard input: xargs and GNU parallel."""

import os
from collections.abc import Callable


def connect(path: str) -> Callable[[str], None]:
    """Return what writes a line into a named pipe."""
    pipe = os.open(path, os.O_WRONLY)

    def enqueue(command: str) -> None:
        os.write(pipe, f"{command}\n".encode())

    return enqueue
