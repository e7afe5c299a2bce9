"""Programs that take a job as their arguments: task-spooler, nq, or none at all."""

import os
from collections.abc import Callable
from itertools import cycle

from shell import run


def connect(lanes: str = "", *prefix: str) -> Callable[[str], None]:
    """Return what runs ``prefix sh -c command`` and waits for its end.

    Args:
        lanes: directories, divided by colons, that take turns as ``NQDIR``.
        prefix: the program; without one, the shell itself is the job.
    """
    if not prefix:
        return run
    worlds = cycle([{**os.environ, "NQDIR": lane} for lane in lanes.split(":")])
    quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]

    def enqueue(command: str) -> None:
        argv = (*prefix, "/bin/sh", "-c", command)
        pid = os.posix_spawn(argv[0], argv, next(worlds), file_actions=quiet)
        status = os.waitpid(pid, 0)[1]
        assert status == 0, f"{prefix[0]} failed"

    return enqueue
