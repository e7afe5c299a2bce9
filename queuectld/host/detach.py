"""Puts the daemon into the background, and tells who asked whether it started.

The caller waits at a pipe: it hears that the daemon is ready, or why it is not. It
knows processes and descriptors, and nothing of what is served.
"""

import contextlib
import fcntl
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a start, or a whole run, ended.

    Attributes:
        status: for exit.
        message: for people; empty when there is nothing to say.
    """

    status: int
    message: str = ""


Ready = Callable[[], None]
Serve = Callable[[Ready], Outcome]


def run(serve: Serve, *, died: str) -> Outcome:
    """Call ``serve`` in a process of its own session, without a terminal.

    Call it before threads, sockets or files exist: every inherited descriptor is
    closed there. Returns in the calling process only: status 0 as soon as ``serve``
    called its ``ready``, else the outcome that ``serve`` returned.

    Args:
        serve: gets ``ready``, and returns when all is over.
        died: the message when the process ended without a word.
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
        # Where stdin was closed the pipe may have its number, which is needed.
        self.fd = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
        self._sent = False

    def ready(self) -> None:
        self.send(Outcome(0))

    def send(self, outcome: Outcome) -> None:
        if self._sent:
            return
        self._sent = True
        text = outcome.message.encode("utf-8", "backslashreplace")
        # The caller may be gone; the daemon goes on.
        with contextlib.suppress(BrokenPipeError), os.fdopen(self.fd, "wb") as pipe:
            pipe.write(bytes([outcome.status]) + text)


def _read(answer: bytes, died: str) -> Outcome:
    if not answer:
        return Outcome(1, died)
    return Outcome(answer[0], answer[1:].decode("utf-8", "replace"))


def _leave(serve: Serve, writer: int) -> NoReturn:
    """Fork again and serve in the grandchild.

    The child leads the new session and ends; its child does not lead it, so it can
    never get a terminal. See daemon(7). Neither may return into the caller's stack.
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

    A caller's lock or pipe that the daemon kept would stay held, or open, for days.
    """
    null = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):
        os.dup2(null, fd)
    for fd in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
        if fd > 2 and fd != keep:
            # One of them is that of the listing itself, closed by now.
            with contextlib.suppress(OSError):
                os.close(fd)
