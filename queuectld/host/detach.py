"""Puts the daemon into the background, and reports to the caller whether it started.

The caller reads a pipe until the daemon is ready, or has failed. This module knows
processes and descriptors, and nothing of what is served.
"""

import contextlib
import fcntl
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn


@dataclass(frozen=True, slots=True)
class ServeOutcome:
    """How a start, or a whole run, ended.

    Attributes:
        status: the exit status.
        message: for a person; may be empty.
    """

    status: int
    message: str = ""


Ready = Callable[[], None]
Serve = Callable[[Ready], ServeOutcome]


def run(serve: Serve, *, died: str) -> ServeOutcome:
    """Call ``serve`` in a process of its own session, without a terminal.

    Call it before threads, sockets or files exist: the new process closes every
    inherited descriptor. Returns in the calling process only: status 0 as soon as
    ``serve`` called its ``ready``, else the outcome that ``serve`` returned.

    Args:
        serve: gets ``ready``, and returns at the end of the daemon.
        died: the message if the process ended without an outcome.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _leave(serve, writer)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader, "rb") as pipe:
        return _read(pipe.read(), died)


class _Report:
    """The daemon's end of the pipe: one message, a byte of status and a text."""

    def __init__(self, fd: int) -> None:
        # If stdin was closed, the pipe may have its number, and must give it up.
        self.fd = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
        self._sent = False

    def ready(self) -> None:
        self.send(ServeOutcome(0))

    def send(self, outcome: ServeOutcome) -> None:
        if self._sent:
            return
        self._sent = True
        text = outcome.message.encode("utf-8", "backslashreplace")
        # If the caller is gone, the daemon goes on.
        with contextlib.suppress(BrokenPipeError), os.fdopen(self.fd, "wb") as pipe:
            pipe.write(bytes([outcome.status]) + text)


def _read(answer: bytes, died: str) -> ServeOutcome:
    if not answer:
        return ServeOutcome(1, died)
    return ServeOutcome(answer[0], answer[1:].decode("utf-8", "replace"))


def _leave(serve: Serve, writer: int) -> NoReturn:
    """Fork again and serve in the grandchild.

    The child leads the new session and ends. The grandchild does not lead a session,
    so it can never get a terminal, see daemon(7). Neither may return into the caller's
    stack.
    """
    status = 1
    try:
        report = _Report(writer)
        os.setsid()
        status = _serve(serve, report) if os.fork() == 0 else 0
    finally:
        os._exit(status)


def _serve(serve: Serve, report: _Report) -> int:
    _close_inherited(report.fd)
    outcome = serve(report.ready)
    if outcome.status:
        report.send(outcome)
    return outcome.status


def _close_inherited(keep: int) -> None:
    """Close all descriptors but ``keep``; the standard ones become /dev/null.

    Otherwise the daemon would hold a lock or a pipe of its caller for days.
    """
    null = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):
        os.dup2(null, fd)
    for fd in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
        if fd > 2 and fd != keep:
            # One of them belonged to the listing itself, and is closed by now.
            with contextlib.suppress(OSError):
                os.close(fd)
