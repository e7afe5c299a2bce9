"""A clock that stands still until a test moves it."""

from helpers.jobs import NOW


class StandingClock:
    """Both clocks. ``advance`` alone moves both, and ``step`` the wall clock only."""

    def __init__(self, now: int = NOW) -> None:
        self.now = now
        self._stepped = 0

    def wall(self) -> int:
        """Return milliseconds since 1970 (UTC)."""
        return self.now

    def monotonic(self) -> float:
        """Return seconds."""
        return (self.now - self._stepped) / 1000

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += round(seconds * 1000)

    def step(self, seconds: float) -> None:
        """Let somebody set the wall clock, forward or back, in no time."""
        self.now += round(seconds * 1000)
        self._stepped += round(seconds * 1000)
