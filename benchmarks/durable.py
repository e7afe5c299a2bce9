"""Jobs that are enqueued one at a time, each durable before its reply."""

import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path

from benchmarks import floors
from benchmarks.options import Options
from benchmarks.report import Figure, Series, Table, ratio_at_least
from benchmarks.served import Served, served
from queuectl import Client

JOBS = 4000
CLIENTS = 16

FAST_DISK_MS, SLOW_DISK_MS = 0.2, 1.0
"""Milliseconds of fdatasync under which the processor is the limit, and over which the
disk is."""


def run(options: Options) -> list[Table]:
    """Measure one client, and sixteen at once, beside commits of bare SQLite."""
    jobs = options.jobs(JOBS)
    found: dict[str, list[float]] = defaultdict(list)
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:
            found["sync"].append(floors.fdatasync_ms(Path(folder)))
            found["floor"].append(floors.commit_rate(Path(folder), jobs))
        with served() as daemon:
            found["one"].append(_rate(daemon, jobs, 1))
            found["many"].append(_rate(daemon, jobs * 4, CLIENTS))
    series = {name: tuple(values) for name, values in found.items()}
    bare = Series("SQLite", series["floor"])
    one = Series("one client", series["one"])
    sync = Figure("fdatasync", "ms", series["sync"])
    slow = (sync.median - FAST_DISK_MS) / (SLOW_DISK_MS - FAST_DISK_MS)
    share = round(0.3 + 0.4 * min(1.0, max(0.0, slow)), 2)
    figures = (
        sync,
        Figure("one client", "jobs/s", series["one"], bare, ratio_at_least(share)),
        Figure("16 clients", "jobs/s", series["many"], one, ratio_at_least(4)),
    )
    notes = (
        "A connection for each client, a request at a time. The floor is one thread "
        "that commits the same row in WAL mode with synchronous=FULL. Up to 0.2 ms of "
        "fdatasync the bar is 0.3 of it, from 1 ms on 0.7, in between in proportion."
    )
    return [Table("durable", "enqueue, acknowledged one by one", figures, notes)]


def _rate(daemon: Served, jobs: int, clients: int) -> float:
    """Return jobs a second that so many clients enqueue."""
    connections = [daemon.connect() for _ in range(clients)]
    threads = [
        threading.Thread(target=_enqueue, args=(client, jobs // clients))
        for client in connections
    ]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - begun
    for client in connections:
        client.close()
    return jobs // clients * clients / seconds


def _enqueue(client: Client, jobs: int) -> None:
    for _ in range(jobs):
        client.call("enqueue", {"job": {"command": "true"}})
