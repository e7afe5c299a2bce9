"""A line on stderr that shows the progress of a long operation; on a terminal only."""

import sys
import time
from contextlib import suppress
from typing import Self

from queuectl.cli.view import output

INTERVAL = 0.1
"""Seconds between two drawings."""

BAR = 30


class Progress:
    """Shows a count, and which part of a file is done.

    Args:
        total: bytes of the file; None if that is not known.
        shown: False draws nothing.
    """

    def __init__(self, total: int | None, *, shown: bool) -> None:
        self._total = total
        self._shown = shown
        self._start = time.monotonic()
        self._drawn = 0.0
        self._columns = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._drawn:
            self._draw("")
            self._draw("")

    def update(self, count: int, position: int) -> None:
        """Draw: ``count`` jobs, ``position`` bytes of the file."""
        now = time.monotonic()
        if not self._shown or now - self._drawn < INTERVAL:
            return
        self._drawn = now
        self._draw(self._line(count, position, now))

    def _draw(self, line: str) -> None:
        """Write over the last drawing, with spaces, as not every terminal can erase."""
        with suppress(OSError):
            sys.stderr.write(f"\r{line:{self._columns}}")
            sys.stderr.flush()
        self._columns = len(line)

    def _line(self, count: int, position: int, now: float) -> str:
        rate = count / max(now - self._start, 0.001)
        counted = f"{count:,} jobs  {rate:,.0f}/s"
        if not self._total:
            return counted
        share = min(1.0, position / self._total)
        bar = "#" * round(share * BAR)
        return f"[{bar:{BAR}}] {share:4.0%}  {counted}"


def wanted() -> bool:
    """Tell whether stderr is a terminal, and stdout does not write to it too."""
    drawable = output.is_terminal(sys.stderr) and not output.is_dumb()
    return drawable and not output.is_terminal(sys.stdout)
