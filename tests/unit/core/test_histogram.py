"""Histograms of durations: percentiles within five per cent of the true ones."""

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queuectld.core import histogram

CENTURY = 100 * 366 * 86_400_000
"""Milliseconds: longer than anything here lasts."""


@given(
    st.lists(st.integers(1, CENTURY), min_size=1, max_size=200),
    st.sampled_from([0.0, 0.01, 0.5, 0.9, 0.95, 0.99, 1.0]),
)
def test_a_percentile_is_within_five_per_cent(
    durations: list[int], share: float
) -> None:
    """The histogram's percentile is near the one of the sorted durations."""
    rank = max(1, math.ceil(share * len(durations)))
    true = sorted(durations)[rank - 1]
    counts = Counter(map(histogram.bucket, durations))
    found = histogram.percentile(counts, share)
    assert found == pytest.approx(true, rel=0.05)


@given(st.integers(1, CENTURY))
def test_a_bucket_stands_for_its_durations(ms: int) -> None:
    """The middle of a duration's bucket is within five per cent of it."""
    assert histogram.middle(histogram.bucket(ms)) == pytest.approx(ms, rel=0.05)


@given(st.integers(1, CENTURY), st.integers(1, CENTURY))
def test_buckets_keep_the_order(a: int, b: int) -> None:
    """A longer duration never falls into a lower bucket."""
    low, high = sorted((a, b))
    assert histogram.bucket(low) <= histogram.bucket(high)


@given(
    st.lists(st.integers(1, CENTURY), max_size=50),
    st.lists(st.integers(1, CENTURY), max_size=50),
)
def test_histograms_can_be_added(one: list[int], other: list[int]) -> None:
    """Added counts give the percentile of all durations together."""
    added = Counter(map(histogram.bucket, one)) + Counter(map(histogram.bucket, other))
    together = Counter(map(histogram.bucket, one + other))
    assert histogram.percentile(added, 0.5) == histogram.percentile(together, 0.5)


@pytest.mark.parametrize("ms", [-5, 0, 1])
def test_the_shortest_durations_count_as_a_millisecond(ms: int) -> None:
    """Under 1 ms there is one bucket; a clock that went back falls into it too."""
    assert histogram.bucket(ms) == 0
    assert histogram.middle(0) == 1


def test_a_century_needs_few_buckets() -> None:
    """The number of buckets is bounded by the logarithm, not by the durations."""
    assert histogram.bucket(CENTURY) < 320


@pytest.mark.parametrize("counts", [{}, {3: 0}])
def test_nothing_measured_has_no_percentile(counts: dict[int, int]) -> None:
    """An empty histogram answers None."""
    assert histogram.percentile(counts, 0.5) is None
