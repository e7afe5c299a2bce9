"""How long a job waits before its next try."""

import math


def delay(
    attempts: int, *, base: float, maximum: float, jitter: float, random: float
) -> float:
    """Return seconds: ``base ** attempts``, at most ``maximum``, plus jitter.

    Args:
        attempts: runs that failed so far, from 1.
        base: seconds; 2 gives 2, 4, 8 ...
        maximum: seconds, before the jitter.
        jitter: share of the delay that ``random`` scales, from 0 to 1. It only adds:
            a job never comes back earlier than its backoff says.
        random: from 0 up to 1, drawn by the caller.
    """
    # base ** attempts overflows a float long before anybody waits that long.
    if base > 1 and attempts * math.log(base) > math.log(maximum + 1):
        plain = maximum
    else:
        plain = min(base**attempts, maximum)
    return plain * (1 + jitter * random)
