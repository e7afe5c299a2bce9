"""Histograms of durations: small, mergeable, good to five per cent at any scale.

A duration falls into the bucket ``ceil(log(ms, GROWTH))``, so that a bucket's middle
is within (GROWTH - 1) / 2 of every duration in it: the idea of DDSketch (Masson, Rim
and Lee, VLDB 2019) without its collapsing, since 1 ms to 100 years are 300 buckets.
"""

import math
from collections.abc import Mapping

GROWTH = 1.1
_LOG = math.log(GROWTH)


def bucket(ms: int) -> int:
    """Return the bucket of a duration in milliseconds; under 1 ms counts as 1."""
    return max(0, math.ceil(math.log(ms) / _LOG)) if ms > 1 else 0


def middle(index: int) -> float:
    """Return the duration, in milliseconds, that stands for a bucket."""
    return float(GROWTH**index * 2 / (1 + GROWTH)) if index else 1.0


def percentile(counts: Mapping[int, int], share: float) -> float | None:
    """Return milliseconds under which ``share`` (0 to 1) of the durations lie.

    None when there are none.
    """
    total = sum(counts.values())
    if not total:
        return None
    rank = max(1, math.ceil(share * total))
    seen = 0
    for index in sorted(counts):
        seen += counts[index]
        if seen >= rank:
            return middle(index)
    raise AssertionError("the ranks add up to the total")
