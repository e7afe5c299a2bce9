"""Resident memory: of the daemon with an empty and with a full queue, of a worker."""

from collections import defaultdict

import psutil

from benchmarks.options import Options
from benchmarks.report import Figure, Table, at_most
from benchmarks.served import served

JOBS = 1_000_000
WORKERS = 8
MB = 1_000_000


def run(options: Options) -> list[Table]:
    """Measure once: memory does not depend on the moment as time does."""
    jobs = options.jobs(JOBS)
    found: dict[str, list[float]] = defaultdict(list)
    with served() as daemon:
        status = daemon.client.call("daemon.status")
        found["empty"].append(status["rss"] / MB)
        daemon.fill(jobs, delay=86_400)
        full = daemon.client.call("daemon.status")["rss"] / MB
        daemon.ctl("worker", "start", "--count", str(WORKERS))
        for _ in range(100 * WORKERS):
            daemon.client.call("enqueue", {"job": {"command": "true"}})
        listed = daemon.client.call("workers.list")["workers"]
        found["worker"] += [
            psutil.Process(each["pid"]).memory_info().rss / MB for each in listed
        ]
    (empty,) = found["empty"]
    figures = (
        Figure("daemon, nothing queued", "MB", (empty,), bar=at_most(45)),
        Figure(f"daemon, {jobs:,} jobs", "MB", (full,), bar=at_most(45)),
        Figure("growth", "MB", (full - empty,), bar=at_most(10)),
        Figure("a worker", "MB", tuple(found["worker"]), bar=at_most(15)),
    )
    return [Table("memory", "resident sets", figures, "MB are 1,000,000 bytes.")]
