"""From the request that enqueues a job to the job's first instruction."""

import select
import time
from collections import defaultdict
from pathlib import Path

from benchmarks import floors
from benchmarks.options import Options
from benchmarks.report import Figure, Series, Table, at_most, quantile
from benchmarks.served import Served, served

JOBS = 200
LOADED = 400
EACH = 0.01
"""Seconds between two jobs of the loaded run: 100 a second."""

WORKERS = 4

CLOCK = ["/bin/date", "+%s%N"]
"""A job that says when it runs, in nanoseconds of the wall clock."""


def run(options: Options) -> list[Table]:
    """Measure an idle daemon, and one under 100 jobs a second."""
    found: dict[str, list[float]] = defaultdict(list)
    for _ in range(options.rounds):
        bare = [floors.spawn_ms() for _ in range(options.jobs(JOBS))]
        found["bare"].append(quantile(bare, 0.5))
        with served() as daemon:
            daemon.ctl("worker", "start", "--count", str(WORKERS))
            idle = [_alone(daemon) for _ in range(options.jobs(JOBS))]
            loaded = _under_load(daemon, options.jobs(LOADED))
        for name, values in (("idle", idle), ("loaded", loaded)):
            found[f"{name}, p50"].append(quantile(values, 0.5))
            found[f"{name}, p99"].append(quantile(values, 0.99))
    bare_start = Series("bare", tuple(found.pop("bare")))
    bars = {"idle, p50": at_most(3), "idle, p99": at_most(10)}
    bars["loaded, p99"] = at_most(20)
    figures = tuple(
        Figure(name, "ms", tuple(values), bare_start, bars.get(name))
        for name, values in found.items()
    )
    notes = (
        f"{WORKERS} workers. The job is `date +%s%N`, whose own start-up counts; "
        "beside it the same from a bare subprocess. Loaded: 100 such jobs a second."
    )
    return [Table("latency", "from enqueue to start", figures, notes)]


def _alone(daemon: Served) -> float:
    begun = time.time_ns()
    job = daemon.client.call("enqueue", {"job": {"command": CLOCK}})["job"]["id"]
    daemon.client.wait(job)
    return (_said(daemon, job) - begun) / 1e6


def _under_load(daemon: Served, jobs: int) -> list[float]:
    begun: dict[str, int] = {}
    first = time.monotonic()
    for number in range(jobs):
        left = first + number * EACH - time.monotonic()
        select.poll().poll(max(0.0, left * 1000))
        now = time.time_ns()
        reply = daemon.client.call("enqueue", {"job": {"command": CLOCK}})
        begun[reply["job"]["id"]] = now
    for job in begun:
        daemon.client.wait(job)
    return [(_said(daemon, job) - at) / 1e6 for job, at in begun.items()]


def _said(daemon: Served, job: str) -> int:
    (file,) = Path(daemon.home, "output", str(int(job) // 1000)).glob(f"{job}.*out")
    return int(file.read_text())
