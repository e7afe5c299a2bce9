"""The two clocks, given to every part that needs one.

``wall`` is for times that are stored and shown; it can jump. ``monotonic`` is for
waiting.
"""

import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time. Tests use a clock that stands still."""

    def wall(self) -> int:
        """Return milliseconds since 1970 (UTC)."""
        ...

    def monotonic(self) -> float:
        """Return seconds since some fixed point."""
        ...


class SystemClock:
    """The machine's clocks."""

    def wall(self) -> int:
        """Return milliseconds since 1970 (UTC)."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Return about the seconds since boot: see clock_gettime(2)."""
        return time.monotonic()
