"""How fast a full queue empties, beside processes that are merely spawned.

Jobs are enqueued by ``queuectl enqueue --file`` while there are no workers; then
``queuectl worker start``. The rate is counted from the first start to the last end in
the daemon's own record; the wall time of the whole, the start of the workers' processes
included, stands below it.
"""

import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import floors
from benchmarks.options import Options
from benchmarks.report import Bar, Figure, Series, Table, ratio_at_least
from benchmarks.served import served

JOBS = 10_000
WORKERS = (2, 4, 8)
BARS = {2: 0.45, 4: 0.5, 8: 0.5}

SHELL = "true"
ARGV = ["/bin/true"]
OUTPUT = f"echo {'x' * 1023}"
"""1 KiB, from a builtin of the shell: the job costs no more than ``true`` does."""

Command = str | list[str]


def run(options: Options) -> list[Table]:
    """Measure the drain of shell jobs, of jobs without a shell, and with output."""
    return [
        Table(
            "drain",
            f"{options.jobs(JOBS):,} jobs, output captured, synchronous=FULL",
            tuple(_figures(options)),
            "From the first start to the last end, as the daemon recorded them. *Wall* "
            "is what the client sees: from the wish for workers, whose processes have "
            "to start, until `status` counts all as completed. The floor is "
            "`posix_spawn` of the same command from as many bare Python processes.",
        )
    ]


def _figures(options: Options) -> list[Figure]:
    jobs = options.jobs(JOBS)
    figures = []
    for workers in WORKERS:
        found: dict[str, list[float]] = defaultdict(list)
        for _ in range(options.rounds):
            found["floor"].append(floors.spawn_rate(jobs // 2, workers))
            found["shell"].append(0)
            found["shell"][-1], wall = drain_rate(SHELL, jobs, workers)
            found["wall"].append(wall)
            argv = floors.spawn_rate(jobs // 4, workers, ARGV)
            found["argv floor"].append(argv)
            found["argv"].append(drain_rate(ARGV, jobs // 4, workers)[0])
            found["output"].append(drain_rate(OUTPUT, jobs // 4, workers)[0])
        figures += _of(workers, {name: tuple(v) for name, v in found.items()})
    return figures


def _of(workers: int, found: dict[str, tuple[float, ...]]) -> list[Figure]:
    shell = Series("spawn sh", found["floor"])
    argv = Series("spawn", found["argv floor"])

    def figure(what: str, key: str, floor: Series, bar: Bar | None = None) -> Figure:
        return Figure(f"{what}, {workers} workers", "jobs/s", found[key], floor, bar)

    return [
        figure("shell", "shell", shell, ratio_at_least(BARS[workers])),
        figure("shell, wall", "wall", shell),
        figure("argv, no shell", "argv", argv),
        figure("1 KiB of output", "output", shell),
    ]


def drain_rate(command: Command, jobs: int, workers: int) -> tuple[float, float]:
    """Return jobs a second by the daemon's record, and by the client's clock."""
    with served() as daemon, job_file(command, jobs) as file:
        last = daemon.ctl("enqueue", "--file", str(file)).split()[-1]
        begun = time.perf_counter()
        daemon.ctl("worker", "start", "--count", str(workers))
        daemon.await_completed(last, jobs)
        wall = time.perf_counter() - begun
        recorded = daemon.span(list(daemon.client.list()))
    return jobs / recorded, jobs / wall


@contextmanager
def job_file(command: Command, jobs: int) -> Iterator[Path]:
    """Give a file of jobs for ``enqueue --file``."""
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.write((json.dumps({"command": command}) + "\n") * jobs)
        file.flush()
        yield Path(file.name)
