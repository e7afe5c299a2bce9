"""What the counted events of a span of time come to."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from queuectld.core import histogram

MINUTE_MS = 60_000

Durations = tuple[Mapping[int, int], int]
"""Counts by bucket of ``histogram``, and the sum of the durations in milliseconds."""


@dataclass(frozen=True, slots=True)
class Spread:
    """How long something took, in seconds; None where nothing was measured.

    Percentiles come from a histogram and are within 5 per cent.
    """

    count: int
    average: float | None
    p50: float | None
    p95: float | None
    p99: float | None


@dataclass(frozen=True, slots=True)
class Stats:
    """The statistics of a span of time.

    Attributes:
        since: its begin, in milliseconds since 1970.
        minutes: its length.
        failed_attempts: attempts that failed or were lost.
        retries: attempts after which the job waited for another.
        lost: attempts whose worker or machine died.
        success_rate: completed / (completed + dead); None without either.
        run: duration of attempts.
        wait: time from when a job could have started to when it did.
        per_minute: completed jobs a minute.
    """

    since: int
    minutes: float
    completed: int
    dead: int
    cancelled: int
    failed_attempts: int
    retries: int
    lost: int
    success_rate: float | None
    run: Spread
    wait: Spread
    per_minute: float


class Total:
    """Counts and durations of one span, added up from those of its parts."""

    def __init__(self) -> None:
        self._counts: defaultdict[str, Counter[int]] = defaultdict(Counter)
        self._ms: Counter[str] = Counter()

    def add(self, metric: str, counts: Mapping[int, int], total_ms: int) -> None:
        """Add what a part has of one metric."""
        self._counts[metric].update(counts)
        self._ms[metric] += total_ms

    def durations(self) -> dict[str, Durations]:
        """Return the sums by metric, for ``summarize``."""
        return {
            metric: (each, self._ms[metric]) for metric, each in self._counts.items()
        }


def summarize(rollup: Mapping[str, Durations], *, since: int, now: int) -> Stats:
    """Return the statistics of what was counted between two times."""

    def count(metric: str) -> int:
        return sum(rollup[metric][0].values()) if metric in rollup else 0

    completed, dead = count("completed"), count("dead")
    ended = completed + dead
    # Under a minute there is too little to tell a rate from.
    minutes = max(1.0, (now - since) / MINUTE_MS)
    return Stats(
        since=since,
        minutes=minutes,
        completed=completed,
        dead=dead,
        cancelled=count("cancelled"),
        failed_attempts=count("failed"),
        retries=count("retried"),
        lost=count("lost"),
        success_rate=completed / ended if ended else None,
        run=_spread(rollup.get("run", ({}, 0))),
        wait=_spread(rollup.get("wait", ({}, 0))),
        per_minute=completed / minutes,
    )


def _spread(durations: Durations) -> Spread:
    counts, total_ms = durations
    count = sum(counts.values())

    def seconds(share: float) -> float | None:
        ms = histogram.percentile(counts, share)
        return None if ms is None else ms / 1000

    average = total_ms / count / 1000 if count else None
    return Spread(count, average, seconds(0.50), seconds(0.95), seconds(0.99))
