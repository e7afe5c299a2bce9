"""The two clocks, handed to whoever needs one.

``wall`` is for what is stored and shown; it can jump. ``monotonic`` is for what is
waited for.
"""

import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time. Tests have one that stands still."""

    def wall(self) -> int:
        """Return milliseconds since 1970 (UTC)."""
        ...

    def monotonic(self) -> float:
        """Return seconds since some point that never changes."""
        ...


class SystemClock:
    """The machine's clocks."""

    def wall(self) -> int:
        """Return milliseconds since 1970 (UTC)."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Return seconds since boot, or so: see clock_gettime(2)."""
        return time.monotonic()
