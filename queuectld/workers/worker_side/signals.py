"""The signals that a worker answers to, as a file that it can poll.

No signal handler ever runs, so no code is interrupted. A signal is one more thing to
read, when the worker chooses to.
"""

import os
import select
import signal
import struct
from typing import NamedTuple

from queuectld.linux import syscalls

CHILD_ENDED = signal.SIGCHLD

WATCHED = frozenset({CHILD_ENDED, signal.SIGTERM, signal.SIGQUIT})
"""SIGTERM: interrupt the job, then exit. SIGQUIT, or a second SIGTERM: kill the job at
once. Two SIGTERM in a row can arrive as one, so the daemon sends SIGQUIT for that."""

IGNORED = frozenset({signal.SIGINT, signal.SIGHUP})
"""A terminal sends these to all its processes; the daemon alone decides for workers."""

_INFO = struct.Struct("=IiiI112x")  # ssi_signo, ssi_errno, ssi_code, ssi_pid
_READ = 16 * _INFO.size


class Received(NamedTuple):
    """A signal that arrived.

    Attributes:
        sender: the pid of the process that sent it; 0 for the kernel.
    """

    number: int
    sender: int


class SignalFile:
    """Blocks the signals of ``WATCHED`` in this process and reads them instead."""

    def __init__(self) -> None:
        for number in IGNORED:
            signal.signal(number, signal.SIG_IGN)
        # A parent that ignores SIGCHLD passes that on, and then none would arrive.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, WATCHED)
        self.fd = syscalls.signal_file(WATCHED)

    def read(self) -> list[Received]:
        """Return what arrived since the last call; several of a kind may be one."""
        try:
            data = os.read(self.fd, _READ)
        except BlockingIOError:
            return []
        infos = _INFO.iter_unpack(data)
        return [Received(number, sender) for number, _, _, sender in infos]

    def wait(self, seconds: float) -> list[Received]:
        """Return what arrives within so many seconds, as soon as something does."""
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        return self.read() if poll.poll(seconds * 1000) else []


def ignored() -> frozenset[int]:
    """Return the signals that this process ignores, Python's two included.

    Ignored signals stay ignored across an exec, and a job must not inherit that.
    """
    return frozenset(
        number
        for number in signal.valid_signals()
        if signal.getsignal(number) is signal.SIG_IGN
    )
