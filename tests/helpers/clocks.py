"""A clock that stands still until a test moves it."""

from helpers.jobs import NOW


class StandingClock:
    """Both clocks. ``advance`` is the only thing that moves them."""

    def __init__(self, now: int = NOW) -> None:
        self.now = now

    def wall(self) -> int:
        """Return milliseconds since 1970 (UTC)."""
        return self.now

    def monotonic(self) -> float:
        """Return seconds."""
        return self.now / 1000

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += round(seconds * 1000)
