"""Times and durations as people read them. Pure: the present is an argument."""

from datetime import datetime

from queuectl_protocol import units


def local(text: str | None) -> str:
    """Return a time off the wire as a local one, to the second."""
    if text is None:
        return ""
    moment = datetime.fromtimestamp(seconds(text))  # noqa: DTZ006 - local, for people
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def seconds(text: str) -> float:
    """Return the seconds since 1970 of a time off the wire."""
    return units.parse_time(text) / 1000


def duration(length: float) -> str:
    """Return a duration; below a second in milliseconds: ``42ms``."""
    if 0 < length < 1:
        return f"{length * 1000:.3g}ms"
    return units.format_duration(length)


def between(start: str | None, end: str | None) -> str:
    """Return the duration from one time off the wire to another."""
    if start is None or end is None:
        return ""
    return duration(max(0.0, seconds(end) - seconds(start)))


def age(text: str, now: float) -> str:
    """Return how long ago a time off the wire was, in one unit: ``3m``."""
    passed = max(0, int(now - seconds(text)))
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if passed >= size:
            return f"{passed // size}{unit}"
    return f"{passed}s"
