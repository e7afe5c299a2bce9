"""Times, durations and sizes as people and the wire write them.

Inside the daemon a point in time is a whole number of milliseconds since 1970 (UTC),
and a duration is in seconds. This module converts between these and the written forms.
"""

import math
import re
from datetime import UTC, datetime, timedelta

from queuectl_protocol.texts import quoted

# Without re.ASCII, \d takes every script's digits and IGNORECASE takes a long s for s.
# re compiles the patterns when they are first used, which takes half a millisecond:
# most commands use none of them.
_FLAGS = re.ASCII | re.IGNORECASE
_DURATION = r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)?"
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_SIZE = r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?b?)"
_EXPONENT = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_RFC3339 = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,20})?(Z|[+-]\d\d:\d\d)"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def parse_duration(text: str) -> float:
    """Return seconds: ``90``, ``90s``, ``5m``, ``2h``, ``1d``, ``1h30m``, ``250ms``.

    A number without a unit must stand alone, because ``1h30`` is ambiguous.

    Raises:
        ValueError: the text is none of these.
    """
    text = text.strip()
    total, position = 0.0, 0
    pattern = re.compile(_DURATION, _FLAGS)
    while match := pattern.match(text, position):
        if not match[2] and match[0] != text:
            break
        total += float(match[1]) * _SECONDS[(match[2] or "s").lower()]
        position = match.end()
    if not text or position != len(text) or math.isinf(total):
        raise ValueError(f"{quoted(text)} is no duration; write 90, 90s, 5m, 2h or 1d")
    return total


def format_duration(seconds: float) -> str:
    """Return a short form for people: ``0.25s``, ``42s``, ``5m``, ``1h30m``, ``2d``."""
    if seconds < 10:
        return f"{seconds:.3g}s"
    parts: list[str] = []
    rest = round(seconds)
    for unit in ("d", "h", "m", "s"):
        amount, rest = divmod(rest, int(_SECONDS[unit]))
        if amount:
            parts.append(f"{amount}{unit}")
    return "".join(parts[:2])


def parse_size(text: str) -> int:
    """Return bytes: ``1048576``, ``64k``, ``10MiB``, ``1GiB`` (all powers of 1,024).

    Raises:
        ValueError: the text is none of these.
    """
    match = re.fullmatch(_SIZE, text.strip(), _FLAGS)
    size = float(match[1]) * 1024 ** _EXPONENT[match[2].lower()] if match else math.inf
    if math.isinf(size):
        raise ValueError(f"{quoted(text)} is no size; write 1048576, 64k, 10M or 1GiB")
    return int(size)


def format_size(size: int) -> str:
    """Return a short form for people: ``512 B``, ``1.5 KiB``, ``1.0 GiB``."""
    if size < 1024:
        return f"{size} B"
    amount = float(size)
    for unit in ("KiB", "MiB", "GiB"):
        amount /= 1024
        if round(amount, 1) < 1024:
            return f"{amount:.1f} {unit}"
    return f"{amount / 1024:.1f} TiB"


def format_time(ms: int) -> str:
    """Return RFC 3339 in UTC with milliseconds: ``2026-12-01T10:00:00.000Z``."""
    moment = (_EPOCH + ms * _MILLISECOND).replace(tzinfo=None)
    return f"{moment.isoformat(timespec='milliseconds')}Z"


def parse_time(text: str) -> int:
    """Return milliseconds since 1970 of an RFC 3339 time with its offset.

    Digits after the third behind the point are dropped.

    Raises:
        ValueError: the text is not RFC 3339, has no offset, or means a moment that
            ``format_time`` could not write (outside the years 1 to 9999 in UTC).
    """
    if not re.fullmatch(_RFC3339, text, _FLAGS):
        raise ValueError(
            f"{quoted(text)} is no RFC 3339 time such as 2026-12-01T10:00:00Z"
        )
    try:
        moment = datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        # Python's own message names its modules, and differs between its versions.
        raise ValueError(
            f"{quoted(text)} is no time: a field is out of range, or the moment is "
            "outside the years 1 to 9999 in UTC"
        ) from None
    return (moment - _EPOCH) // _MILLISECOND
