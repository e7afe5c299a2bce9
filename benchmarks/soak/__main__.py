"""``make soak``: rounds of the campaign for an hour or more, and a line for each fault.

    SOAK_MINUTES  at least so long (60)
    SOAK_KILLS    and until so many processes were killed by SIGKILL (10000)
    SOAK_SEED     the first seed; printed, so that a run can be repeated

Ends with status 1 at the first violation.
"""

import itertools
import math
import os
import platform
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from benchmarks.soak import plans, strikes
from benchmarks.soak.campaign import Plan, Round, play
from helpers.home import a_home

STRIKES_A_ROUND = 65
STORM = {"restarts": 50, "jobs": 10_000, "gap": (0.2, 2.0)}

RETRY_TARGET = 2.0
RESTART_TARGET = 5.0
"""Seconds; the 99th percentile of each has to be under them."""


@dataclass(slots=True)
class Tally:
    """What all rounds came to."""

    rounds: int = 0
    jobs: int = 0
    attempts: int = 0
    resent: int = 0
    disturbed: int = 0
    times: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    retries: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    restarts: list[float] = field(default_factory=list)

    def add(self, played: Round) -> None:
        """Add a round."""
        self.rounds += 1
        self.jobs += played.jobs
        self.attempts += played.attempts
        self.resent += played.resent
        self.disturbed += played.disturbed
        self.restarts += played.restarts
        for blow in played.blows:
            self.times[blow.kind] += 1
            self.kills[blow.kind] += blow.killed
        for kind, seconds in played.retries:
            self.retries[kind].append(seconds)


def main() -> int:
    """Play until time and kills are enough; return 1 if anything was violated."""
    minutes = float(os.environ.get("SOAK_MINUTES", "60"))
    kills = int(os.environ.get("SOAK_KILLS", "10000"))
    first = os.environ.get("SOAK_SEED", str(time.time_ns() % 1_000_000))
    print(f"seed {first}, at least {minutes:g} minutes and {kills:,} kills", flush=True)
    tally = Tally()
    begun = time.monotonic()
    good = False
    try:
        good = _play_all(first, tally, kills, begun + minutes * 60)
    finally:
        _report(tally, time.monotonic() - begun)
    return 0 if good else 1


def _play_all(first: str, tally: Tally, kills: int, until: float) -> bool:
    for plan in _plans(first):
        if not _play(plan, tally):
            return False
        if time.monotonic() >= until and tally.kills.total() >= kills:
            return True
    return False


def _plans(first: str) -> Iterable[Plan]:
    """Yield the storm, and then rounds of the campaign without end."""
    yield plans.storm(f"{first}.storm", **STORM)  # type: ignore[arg-type]
    for number in itertools.count(1):
        yield plans.campaign(f"{first}.{number}", STRIKES_A_ROUND)


def _play(plan: Plan, tally: Tally) -> bool:
    begun = time.monotonic()
    with a_home() as home:
        try:
            played = play(home, plan)
        except BaseException:
            print(f"round {plan.seed} broke down; the end of its log:")
            print((home.root / "queuectld.stderr").read_text()[-20_000:], flush=True)
            raise
        tally.add(played)
        print(
            f"round {plan.seed}: {played.jobs} jobs, {played.attempts} attempts, "
            f"{sum(blow.killed for blow in played.blows)} kills, "
            f"{len(played.violations)} violations, "
            f"{time.monotonic() - begun:.0f} s",
            flush=True,
        )
        for violation in played.violations:
            print(f"  VIOLATED: {violation}")
        if played.violations:
            print((home.root / "queuectld.stderr").read_text(), flush=True)
    return not played.violations


def _report(tally: Tally, seconds: float) -> None:
    print(f"\n{time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC, {_machine()}")
    print(f"{tally.rounds} rounds in {seconds / 60:.1f} minutes, of which one storm")
    print(f"{'fault':31}{'times':>7}{'kills':>7}  recovery: next attempt starts")
    for strike in strikes.STRIKES:
        kind = strike.__name__
        line = f"{kind:31}{tally.times[kind]:7}{tally.kills[kind]:7}"
        print(f"{line}  {_spread(tally.retries[kind])}".rstrip())
    print(f"{'in all':31}{tally.times.total():7}{tally.kills.total():7}")
    print(f"restart to the first job's start: {_spread(tally.restarts)}")
    print(f"lost runs whose recovery was hit again, not timed: {tally.disturbed}")
    print(
        f"{tally.jobs} jobs acknowledged, {tally.attempts} attempts, "
        f"{tally.resent} requests sent again"
    )
    alone = tally.retries["worker_killed"] + tally.retries["workers_killed"]
    _target("a killed worker's job starts again", alone, RETRY_TARGET)
    _target("a restarted daemon starts a job", tally.restarts, RESTART_TARGET)


def _target(what: str, samples: list[float], target: float) -> None:
    if samples:
        found = _percentile(samples, 0.99)
        said = "met" if found < target else "MISSED"
        print(f"{what}: p99 {found:.2f} s, target {target:g} s: {said}")


def _spread(samples: list[float]) -> str:
    if not samples:
        return ""
    p50, p99 = (_percentile(samples, share) for share in (0.5, 0.99))
    count = len(samples)
    return f"p50 {p50:.2f} s, p99 {p99:.2f} s, max {max(samples):.2f} s (n={count})"


def _percentile(samples: list[float], share: float) -> float:
    """Return the smallest sample that so great a share does not exceed."""
    return sorted(samples)[max(0, math.ceil(share * len(samples)) - 1)]


def _machine() -> str:
    return f"{platform.release()} {platform.machine()}, {os.cpu_count()} CPUs"


if __name__ == "__main__":
    sys.exit(main())
