"""A program on a pseudo-terminal, and a person in front of it."""

import fcntl
import os
import re
import select
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Self

PATIENCE = 20.0
"""Seconds until a test takes silence for a failure."""

_SGR = re.compile(r"\x1b\[[0-9;]*m")


class Terminal:
    """A program, and what it has shown.

    Args:
        argv: the program and its arguments.
        cwd: where it runs.
        env: its environment.
        columns: width of the terminal.
        stdout: where its output goes instead; its stdin and stderr stay.

    Attributes:
        shown: all that it has written so far, as the terminal got it.
    """

    def __init__(
        self,
        argv: Sequence[str | Path],
        *,
        cwd: Path,
        env: Mapping[str, str],
        columns: int = 80,
        stdout: IO[bytes] | None = None,
    ) -> None:
        self.shown = ""
        self._master, slave = os.openpty()
        try:
            size = struct.pack("HHHH", 24, columns, 0, 0)
            fcntl.ioctl(slave, termios.TIOCSWINSZ, size)
            # setsid(1) makes it the controlling terminal, where Ctrl-C is a signal.
            self.process = subprocess.Popen(
                ["setsid", "--ctty", *argv],
                stdin=slave,
                stdout=slave if stdout is None else stdout,
                stderr=slave,
                cwd=cwd,
                env=env,
            )
        finally:
            os.close(slave)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)

    def type(self, keys: str) -> None:
        """Press keys; Ctrl-C is character 3 and Ctrl-D 4."""
        os.write(self._master, keys.encode())

    def until(self, text: str) -> str:
        """Wait until it has shown a text; return all it has shown."""
        while text not in self.shown:
            assert self._read(), f"it ended without {text!r}: {self.shown!r}"
        return self.shown

    def hang_up(self) -> int:
        """Close the terminal under it; return its exit status."""
        os.close(self._master)
        self._master = os.open(os.devnull, os.O_RDONLY)
        return self.process.wait(PATIENCE)

    def end(self) -> int:
        """Wait until it has ended; return its exit status."""
        while self._read():
            pass
        return self.process.wait(PATIENCE)

    @property
    def lines(self) -> list[str]:
        """What it has shown, without colours."""
        return plain(self.shown).replace("\r\n", "\n").splitlines()

    def _read(self) -> bool:
        ready, _, _ = select.select([self._master], [], [], PATIENCE)
        assert ready, f"silence after {self.shown!r}"
        try:
            data = os.read(self._master, 65536)
        except OSError:
            return False  # EIO: nobody has the other side open any more
        self.shown += data.decode()
        return bool(data)


def plain(text: str) -> str:
    """Return the text without colours and weights."""
    return _SGR.sub("", text)
