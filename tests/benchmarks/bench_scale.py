"""Cost against the number of queued jobs: the same operations with 100 and a million.

    python tests/benchmarks/bench_scale.py [--jobs 1000000]

Prints, for each operation, the median and its ratio to the one with 100 jobs queued.
Both daemons run side by side, and the operations alternate between them, so that a
noisy moment touches both.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from queuectl.client import Client

BATCH = 1000
FAR = "2099-01-01T00:00:00Z"


@contextmanager
def daemon() -> Iterator[Client]:
    """A daemon of its own in a temporary home."""
    with tempfile.TemporaryDirectory(prefix="queuectl-bench-") as home:
        environment = os.environ | {"QUEUECTL_HOME": home}
        read, write = os.pipe()
        process = subprocess.Popen(
            [sys.executable, "-m", "queuectld"],
            env=environment,
            stderr=write,
            pass_fds=[write],
        )
        os.close(write)
        with os.fdopen(read) as log:
            for line in log:
                if "daemon_ready" in line:
                    break
            client = Client(str(Path(home, "queuectl.sock")))
            try:
                yield client
            finally:
                client.close()
                process.terminate()
                log.read()
                process.wait()


def fill(client: Client, count: int, **fields: object) -> float:
    """Enqueue jobs in batches; return seconds."""
    begun = time.perf_counter()
    for start in range(0, count, BATCH):
        jobs = [{"command": "true", **fields}] * min(BATCH, count - start)
        client.call("enqueue_many", {"jobs": jobs})
    return time.perf_counter() - begun


def rss(client: Client) -> int:
    """Return the daemon's resident set in bytes."""
    return int(client.call("daemon.status")["rss"])


def alternate(
    operation: Callable[[Client], object], small: Client, large: Client, rounds: int
) -> tuple[list[float], list[float]]:
    """Return how long each call takes on both, in milliseconds."""
    times: dict[Client, list[float]] = {small: [], large: []}
    for _ in range(rounds):
        for client in (small, large):
            begun = time.perf_counter()
            operation(client)
            times[client].append((time.perf_counter() - begun) * 1000)
    return times[small], times[large]


def run_one(client: Client) -> None:
    """From enqueue, through claim and finish, to the answer: the highest priority."""
    job = client.call("enqueue", {"job": {"command": "true", "priority": 1_000_000}})
    client.call("wait", {"id": job["job"]["id"]})


OPERATIONS: dict[str, Callable[[Client], object]] = {
    "status": lambda c: c.call("status"),
    "enqueue": lambda c: c.call("enqueue", {"job": {"command": "true"}}),
    "list --limit 20": lambda c: c.call("list", {"limit": 20}),
    "list dead": lambda c: c.call("list", {"limit": 20, "state": "dead"}),
}


def report(name: str, small: list[float], large: list[float]) -> None:
    """Print a row, for people and as JSON."""
    low, high = statistics.median(small), statistics.median(large)
    print(f"{name:24} {low:9.3f} ms {high:9.3f} ms   x{high / low:.2f}")
    row = {"operation": name, "small_ms": low, "large_ms": high, "ratio": high / low}
    print(json.dumps(row), file=sys.stderr)


def main() -> None:
    """Fill two stores and compare them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args()
    with daemon() as small, daemon() as large:
        before = rss(large)
        fill(small, 100, run_at=FAR, priority=1000)
        seconds = fill(large, options.jobs, run_at=FAR, priority=1000)
        print(f"{options.jobs} delayed jobs of higher priority in {seconds:.1f} s")
        for name, operation in OPERATIONS.items():
            report(name, *alternate(operation, small, large, options.rounds))
        for client in (small, large):
            client.call("workers.start", {"count": 1})
        report(
            "enqueue, claim, finish",
            *alternate(run_one, small, large, options.rounds),
        )
        print(
            f"daemon's memory: {before / 2**20:.1f} MiB empty, "
            f"{rss(large) / 2**20:.1f} MiB with {options.jobs} jobs"
        )


if __name__ == "__main__":
    main()
