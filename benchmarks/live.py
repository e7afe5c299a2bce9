"""Jobs that are enqueued one by one over one connection while four workers drain."""

import time
from collections import defaultdict

from benchmarks.drain import SHELL, drain_rate
from benchmarks.options import Options
from benchmarks.report import Figure, Series, Table, ratio_at_least
from benchmarks.served import served

JOBS = 10_000
WORKERS = 4


def run(options: Options) -> list[Table]:
    """Measure it beside the drain of a full queue."""
    jobs = options.jobs(JOBS)
    found: dict[str, list[float]] = defaultdict(list)
    for _ in range(options.rounds):
        found["drain"].append(drain_rate(SHELL, jobs, WORKERS)[1])
        found["live"].append(_live_rate(jobs))
    drain = Series("drain, wall", tuple(found["drain"]))
    live = Figure("live", "jobs/s", tuple(found["live"]), drain, ratio_at_least(0.8))
    notes = "From the first request until `status` counts all jobs as completed."
    return [Table("live", f"{jobs:,} jobs, {WORKERS} workers", (live,), notes)]


def _live_rate(jobs: int) -> float:
    with served() as daemon:
        daemon.ctl("worker", "start", "--count", str(WORKERS))
        begun = time.perf_counter()
        for _ in range(jobs):
            last = daemon.client.call("enqueue", {"job": {"command": SHELL}})
        daemon.await_completed(last["job"]["id"], jobs)
        return jobs / (time.perf_counter() - begun)
