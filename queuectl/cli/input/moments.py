"""Points in time as people write them. Pure: the present is an argument."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo

from queuectl_protocol import units

_LOCAL = r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?"
_CLOCK = r"\d\d?:\d\d(:\d\d)?"

_WAYS = ("2026-12-01T10:00:00Z", "'2026-12-01 10:00' (local)", "10:00 (the next)")


def parse(
    text: str, *, now: float, zone: tzinfo | None = None, also: Sequence[str] = ()
) -> int:
    """Return the milliseconds since 1970 that ``text`` means.

    RFC 3339 (``2026-12-01T10:00:00Z``), a local date and time (``2026-12-01 10:00``,
    seconds optional), or a local time of day (``10:00``): its next occurrence.

    Args:
        text: what was written.
        now: seconds since 1970.
        zone: where it is local; None for the system's time zone.
        also: what else may be written, for the error message.

    Raises:
        ValueError: it is none of these, or a time that summer time skips.
    """
    text = text.strip()
    if re.fullmatch(_CLOCK, text):
        return _next_occurrence(text, now, zone)
    if re.fullmatch(_LOCAL, text):
        return _milliseconds(datetime.fromisoformat(text), zone)
    try:
        return units.parse_time(text)
    except ValueError:
        *ways, last = (*_WAYS, *also)
        raise ValueError(
            f"{text!r} is no time; write {', '.join(ways)} or {last}"
        ) from None


def _next_occurrence(text: str, now: float, zone: tzinfo | None) -> int:
    hour, minute, second = (*map(int, text.split(":")), 0)[:3]
    present = datetime.fromtimestamp(now, zone).replace(tzinfo=None)
    today = present.replace(hour=hour, minute=minute, second=second, microsecond=0)
    # When the clocks are put back, an hour of the day comes twice.
    for moment in (today.replace(fold=0), today.replace(fold=1)):
        ahead = moment.replace(tzinfo=zone).timestamp() > now
        if ahead and (moment > present or moment.fold):
            return _milliseconds(moment, zone)
    return _milliseconds(today.replace(fold=0) + timedelta(days=1), zone)


def _milliseconds(local: datetime, zone: tzinfo | None) -> int:
    seconds = local.replace(tzinfo=zone).timestamp()
    # A time in the hour that summer time skips does not exist, and is converted to
    # another one.
    if datetime.fromtimestamp(seconds, zone).replace(tzinfo=None) != local:
        raise ValueError(f"{local} does not exist here: the clocks are put forward")
    return round(seconds * 1000)
