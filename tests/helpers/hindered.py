"""Daemons in trouble that a test makes: see ``helpers/hindrances.py`` for which."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from helpers import waiting
from helpers.home import Home

PROGRAM = Path(__file__).with_name("hindrances.py")


def serve(
    home: Home, *flags: str, constants: Mapping[str, float | None] | None = None
) -> "subprocess.Popen[str]":
    """Start a daemon that can be hindered; return it when it answers.

    Args:
        home: where.
        flags: of queuectld.
        constants: of its modules, to be other than they are.
    """
    daemon = begin(home, *flags, constants=constants)
    home.await_answer(daemon)
    return daemon


def begin(
    home: Home, *flags: str, constants: Mapping[str, float | None] | None = None
) -> "subprocess.Popen[str]":
    """Start such a daemon, and do not wait for it."""
    with (home.root / "queuectld.stderr").open("a") as errors:
        daemon = subprocess.Popen(
            [sys.executable, "-P", PROGRAM, *flags],
            cwd=home.work,
            env={**home.environ, "HINDERED": json.dumps(constants or {})},
            stdin=subprocess.DEVNULL,
            stderr=errors,
            text=True,
        )
    home.adopt(daemon)
    return daemon


class Hold:
    """A point at which the daemon is held up the next time it comes there."""

    def __init__(self, home: Home, point: str) -> None:
        self._fifo = home.root / f"at-{point}"
        os.mkfifo(self._fifo)
        self._fd: int | None = None

    def reached(self) -> None:
        """Wait until it is there."""
        self._fd = waiting.until(self._writer, f"it comes to {self._fifo.name}")
        self._fifo.unlink()

    def release(self) -> None:
        """Let it go on, and not be held up again."""
        if self._fd is not None:
            os.close(self._fd)
        self._fd = None
        self._fifo.unlink(missing_ok=True)

    def _writer(self) -> int | None:
        try:
            return os.open(self._fifo, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return None  # nobody reads


@contextmanager
def held(home: Home, point: str) -> Iterator[Hold]:
    """Hold the daemon up at a point, at the latest until the context ends."""
    hold = Hold(home, point)
    try:
        yield hold
    finally:
        hold.release()
