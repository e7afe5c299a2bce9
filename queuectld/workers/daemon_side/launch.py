"""Starts the worker program."""

import os
import signal
import socket
import sys
from dataclasses import dataclass

from queuectld.workers.shared import messages

_PROGRAM = "queuectld.workers.worker_side"

_RESET = [
    signal.SIGPIPE, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1,
    signal.SIGCHLD,
]  # fmt: skip
"""The daemon handles or ignores these; a worker starts with their default actions."""

_KEPT = (
    "PATH", "LANG", "LC_ALL", "TZ", "PYTHONPATH", "PYTHONHOME",
    "PYTHONDONTWRITEBYTECODE",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Launched:
    """A worker process that was just started.

    Attributes:
        socket: the daemon's end of the channel.
    """

    pid: int
    pidfd: int
    socket: socket.socket


def launch(number: int) -> Launched:
    """Start worker ``number`` in a session of its own.

    The program is exec'd, never forked: a fork would keep the daemon's lock and its
    listening socket open. Every other descriptor is close-on-exec (PEP 446).

    Raises:
        OSError: the machine has no processes, descriptors or memory left.
    """
    ours, theirs = socket.socketpair()
    try:
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-P", "-m", _PROGRAM, str(number)],
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
    """Return the environment of a worker: what it needs to find its own program.

    The daemon's other variables stay out, so that no job inherits them by accident.
    """
    return {name: os.environ[name] for name in _KEPT if name in os.environ}
