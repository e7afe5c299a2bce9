"""Starts the worker program."""

import os
import signal
import socket
import sys
from dataclasses import dataclass

from queuectld.workers.shared import messages

_RESET = [
    signal.SIGPIPE, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1,
    signal.SIGCHLD,
]  # fmt: skip
"""What the daemon handles or ignores, and a worker must decide for itself."""

_KEPT = (
    "PATH", "LANG", "LC_ALL", "TZ", "PYTHONPATH", "PYTHONHOME",
    "PYTHONDONTWRITEBYTECODE",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Launched:
    """A worker process that was just started, and the daemon's end of its link."""

    pid: int
    pidfd: int
    socket: socket.socket


def launch(number: int) -> Launched:
    """Start worker ``number`` in a session of its own.

    The program is exec'd, never forked: a fork would keep the daemon's lock and its
    listening socket open. Every other descriptor is close-on-exec (PEP 446).

    Raises:
        OSError: there are no processes, descriptors or memory to be had.
    """
    ours, theirs = socket.socketpair()
    try:
        pid = os.posix_spawn(
            sys.executable,
            [
                sys.executable,
                "-P",
                "-m",
                "queuectld.workers.worker_side",
                str(number),
            ],
            _environment(),
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, theirs.fileno(), messages.FD),
            ],
            setsid=True,
            setsigmask=[],
            setsigdef=_RESET,
        )
        pidfd = os.pidfd_open(pid)
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()
    ours.setblocking(False)
    return Launched(pid, pidfd, ours)


def _environment() -> dict[str, str]:
    """Return what a worker starts with: enough to find its own program.

    The daemon's other variables stay out: the worker's children must not get them by
    accident.
    """
    return {name: os.environ[name] for name in _KEPT if name in os.environ}
