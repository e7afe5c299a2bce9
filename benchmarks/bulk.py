"""Many jobs at once: batches over the socket, and ``queuectl enqueue --file``."""

import tempfile
import time
from collections import defaultdict
from pathlib import Path

from benchmarks import floors
from benchmarks.drain import job_file
from benchmarks.options import Options
from benchmarks.report import Figure, Series, Table, at_least, at_most
from benchmarks.served import served

JOBS = 100_000


def run(options: Options) -> list[Table]:
    """Measure both."""
    jobs = options.jobs(JOBS)
    found: dict[str, list[float]] = defaultdict(list)
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:
            found["floor"].append(floors.insert_rate(Path(folder), jobs))
        with served() as daemon:
            found["socket"].append(jobs / daemon.fill(jobs))
        with served() as daemon, job_file("true", jobs) as file:
            begun = time.perf_counter()
            daemon.ctl("enqueue", "--file", str(file))
            found["file"].append((time.perf_counter() - begun) * JOBS / jobs)
    series = {name: tuple(values) for name, values in found.items()}
    bare = Series("SQLite", series["floor"])
    figures = (
        Figure("batches of 1,000", "jobs/s", series["socket"], bare, at_least(1e5)),
        Figure("enqueue --file", "s", series["file"], bar=at_most(2.5)),
    )
    notes = (
        "Each batch is durable before the next is sent. The file is JSON lines. The "
        "floor is `executemany` of the same rows into the same tables and indexes, a "
        "commit for each 1,000."
    )
    return [Table("bulk", f"{jobs:,} jobs", figures, notes)]
