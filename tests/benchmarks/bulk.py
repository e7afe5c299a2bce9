"""Many jobs at once: batches over the socket, and ``queuectl enqueue --file``."""

import time
from collections import defaultdict

from benchmarks.drain import job_file
from benchmarks.options import Options
from benchmarks.report import Figure, Table, at_least, at_most
from benchmarks.served import served

JOBS = 100_000


def run(options: Options) -> list[Table]:
    """Measure both."""
    jobs = options.jobs(JOBS)
    found: dict[str, list[float]] = defaultdict(list)
    for _ in range(options.rounds):
        with served() as daemon:
            found["socket"].append(jobs / daemon.fill(jobs))
        with served() as daemon, job_file("true", jobs) as file:
            begun = time.perf_counter()
            daemon.ctl("enqueue", "--file", str(file))
            found["file"].append((time.perf_counter() - begun) * JOBS / jobs)
    figures = (
        Figure("batches of 1,000", "jobs/s", tuple(found["socket"]), bar=at_least(1e5)),
        Figure("enqueue --file", "s", tuple(found["file"]), bar=at_most(2.5)),
    )
    notes = "Each batch is durable before the next is sent. The file is JSON lines."
    return [Table("bulk", f"{jobs:,} jobs", figures, notes)]
