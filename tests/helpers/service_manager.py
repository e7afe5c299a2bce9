"""A service manager's end of NOTIFY_SOCKET."""

import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

from helpers import waiting
from helpers.home import Home

BEAT = 0.1
"""Seconds between two signs of life."""

WATCHDOG = "WATCHDOG=1"


class Manager:
    """A service manager's end of NOTIFY_SOCKET.

    Attributes:
        heard: all that was read, by line, in the order it was sent.
    """

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.heard: list[str] = []

    def next(self, within: float = waiting.DEADLINE) -> list[str]:
        """Return the lines of the next message; none if none comes in time."""
        self.socket.settimeout(within)
        try:
            lines = self.socket.recv(4096).decode().split("\n")
        except (TimeoutError, BlockingIOError):
            return []
        self.heard += lines
        return lines

    def until(self, line: str) -> list[str]:
        """Read up to a line; return the message that has it."""
        return self.until_any(lambda found: found == line, line)

    def until_any(self, wanted: Callable[[str], bool], what: str) -> list[str]:
        """Read up to a line that is wanted; return its message."""
        deadline = time.monotonic() + waiting.DEADLINE
        while (left := deadline - time.monotonic()) > 0:
            if any(map(wanted, lines := self.next(left))):
                return lines
        raise AssertionError(f"not told: {what}; told: {self.heard}")

    def status(self, text: str) -> None:
        """Read up to a status."""
        self.until(f"STATUS={text}")

    def silent(self, within: float) -> bool:
        """Whether a time comes, soon, in which nothing is sent."""
        deadline = time.monotonic() + waiting.DEADLINE
        while self.next(within):
            if time.monotonic() > deadline:
                return False
        return True


def term(home: Home) -> None:
    home.send(home.daemon, signal.SIGTERM)


def extensions(lines: list[str]) -> list[float]:
    """Return the seconds of each request for time."""
    name = "EXTEND_TIMEOUT_USEC="
    found = [line.removeprefix(name) for line in lines if line.startswith(name)]
    return [int(usec) / 1_000_000 for usec in found]
