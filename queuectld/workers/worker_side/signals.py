"""The signals that a worker answers to, as a file it can poll.

No handler ever runs, so nothing is interrupted and nothing is re-entered: a signal is
one more thing to read, in the order the worker chooses.
"""

import os
import signal
import struct
from typing import NamedTuple

from queuectld.linux import syscalls

WATCHED = frozenset({signal.SIGCHLD, signal.SIGTERM, signal.SIGQUIT})
"""SIGTERM: interrupt the job and leave; a second one, or SIGQUIT: at once. Two
SIGTERM in a row can arrive as one, so whoever means it sends SIGQUIT."""

IGNORED = frozenset({signal.SIGINT, signal.SIGHUP})
"""A terminal sends these to everybody in it; the daemon alone decides for workers."""

_INFO = struct.Struct("=IiiI112x")  # ssi_signo, ssi_errno, ssi_code, ssi_pid
_READ = 16 * _INFO.size


class Received(NamedTuple):
    """A signal that arrived.

    Attributes:
        sender: the pid of who sent it; 0 when the kernel did.
    """

    number: int
    sender: int


class SignalFile:
    """Blocks the signals of ``WATCHED`` in this process and reads them instead."""

    def __init__(self) -> None:
        for number in IGNORED:
            signal.signal(number, signal.SIG_IGN)
        # A parent that ignores SIGCHLD hands that down, and then nobody is told.
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


def changed() -> frozenset[int]:
    """Return the signals that this process ignores and a program must not inherit so.

    Ignored signals stay ignored across an exec; Python itself ignores two.
    """
    return frozenset(
        number
        for number in signal.valid_signals()
        if signal.getsignal(number) is signal.SIG_IGN
    )
