"""Pruning a million finished jobs while others are enqueued and run."""

import subprocess
import time
from collections.abc import Callable

from benchmarks import filling
from benchmarks.filling import Ballast
from benchmarks.options import Options
from benchmarks.report import Figure, Series, Table, quantile, ratio_at_most
from benchmarks.served import BIN, Served, served

JOBS = 1_000_000
WORKERS = 2
PACE = 0.005
"""Seconds between jobs: 200 a second, which leaves workers time."""

SETTLE = 3.0
"""Seconds of enqueueing that are not counted."""

SLICE = 3.0
"""Seconds of enqueueing that make a round before the pruning."""


def run(options: Options) -> list[Table]:
    """Compare enqueue before and while the pruning goes on."""
    jobs = options.jobs(JOBS)
    with served() as daemon:
        filling.fill(daemon, Ballast(completed=jobs))
        daemon.client.workers.start(WORKERS)
        # Until what the filling left in the log is in the database.
        settled = time.perf_counter() + SETTLE
        _enqueue_while(daemon, lambda: time.perf_counter() < settled)
        until = time.perf_counter() + SLICE * options.rounds
        before = _enqueue_while(daemon, lambda: time.perf_counter() < until)
        begun = time.perf_counter()
        prune = subprocess.Popen(
            [BIN / "queuectl", "prune"],
            env=daemon.environment,
            stdout=subprocess.DEVNULL,
        )
        during = _enqueue_while(daemon, lambda: prune.poll() is None)
        seconds = time.perf_counter() - begun
        assert prune.returncode == 0, "the pruning failed"
    calm, busy = _slices(before, options.rounds), _slices(during, options.rounds)
    return [_table(jobs, calm, busy, jobs / seconds)]


def _table(
    jobs: int, before: list[list[float]], during: list[list[float]], rate: float
) -> Table:
    def at(share: float, rounds: list[list[float]]) -> tuple[float, ...]:
        return tuple(quantile(each, share) for each in rounds)

    def figure(name: str, share: float) -> Figure:
        floor = Series("before", at(share, before))
        bar = ratio_at_most(2) if share == 0.99 else None
        return Figure(name, "ms", at(share, during), floor, bar)

    figures = (
        figure("enqueue meanwhile: p50", 0.5),
        figure("enqueue meanwhile: p99", 0.99),
        figure("enqueue meanwhile: slowest", 1.0),
        Figure("pruned", "jobs/s", (rate,)),
    )
    notes = (
        "Up to 200 jobs a second are enqueued, one by one, and "
        f"{WORKERS} workers run them. A round is a part of the time before or while "
        "one pruning goes on. The pruned jobs had written nothing, so there were no "
        "output files to remove."
    )
    return Table("prune", f"{jobs:,} finished jobs pruned", figures, notes)


def _enqueue_while(daemon: Served, goes_on: Callable[[], bool]) -> list[float]:
    """Enqueue at a steady pace; return how many milliseconds each request took.

    What was held up is not caught up with: a queue of requests behind a slow one
    would be counted instead of the requests.
    """
    took = []
    while goes_on():
        begun = time.perf_counter()
        daemon.client.enqueue("true")
        seconds = time.perf_counter() - begun
        took.append(seconds * 1000)
        time.sleep(max(0.0, PACE - seconds))
    return took


def _slices(values: list[float], count: int) -> list[list[float]]:
    size = max(1, len(values) // count)
    starts = range(0, size * min(count, len(values)), size)
    return [values[start : start + size] for start in starts]
