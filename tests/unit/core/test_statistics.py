"""What counted events come to."""

import pytest

from helpers.jobs import NOW
from queuectld.core import histogram, statistics

HOUR = 3_600_000


def test_nothing_counted_gives_zeros_and_no_rates() -> None:
    """An idle queue has no success rate and no percentiles rather than false ones."""
    stats = statistics.summarize({}, since=NOW - HOUR, now=NOW)
    assert (stats.completed, stats.dead, stats.retries, stats.lost) == (0, 0, 0, 0)
    assert stats.success_rate is None
    assert stats.run == statistics.Spread(0, None, None, None, None)
    assert (stats.minutes, stats.per_minute) == (60, 0)


def test_events_are_added_up() -> None:
    """Counts over all buckets, rates over the span."""
    rollup: dict[str, statistics.Durations] = {
        "completed": ({0: 90}, 0),
        "dead": ({0: 30}, 0),
        "cancelled": ({0: 5}, 0),
        "failed": ({0: 120}, 0),
        "retried": ({0: 80}, 0),
        "lost": ({0: 2}, 0),
    }
    stats = statistics.summarize(rollup, since=NOW - HOUR, now=NOW)
    assert (stats.completed, stats.dead, stats.cancelled) == (90, 30, 5)
    assert (stats.failed_attempts, stats.retries, stats.lost) == (120, 80, 2)
    assert stats.success_rate == 0.75
    assert stats.per_minute == 1.5


def test_durations_come_out_in_seconds() -> None:
    """Average from the sum, percentiles from the histogram."""
    counts = {histogram.bucket(1000): 95, histogram.bucket(20_000): 5}
    rollup = {"run": (counts, 95 * 1000 + 5 * 20_000)}
    run = statistics.summarize(rollup, since=0, now=NOW).run
    assert (run.count, run.average) == (100, 1.95)
    assert run.p50 == pytest.approx(1, rel=0.05)
    assert run.p95 == pytest.approx(1, rel=0.05)
    assert run.p99 == pytest.approx(20, rel=0.05)


def test_a_rate_is_never_told_from_less_than_a_minute() -> None:
    """Two jobs in the first second are two a minute, not 120."""
    rollup: dict[str, statistics.Durations] = {"completed": ({0: 2}, 0)}
    stats = statistics.summarize(rollup, since=NOW - 1000, now=NOW)
    assert (stats.minutes, stats.per_minute) == (1, 2)


def test_a_clock_that_went_back_is_no_negative_span() -> None:
    """A span that seems to end before it began counts as a minute."""
    assert statistics.summarize({}, since=NOW + HOUR, now=NOW).minutes == 1
