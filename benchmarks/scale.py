"""Cost against the number of jobs in the store: the same operations, small to large.

All daemons run side by side, and the operations take turns between them, so that a
noisy moment touches all.
"""

import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack

from benchmarks import filling
from benchmarks.filling import Ballast
from benchmarks.options import Options
from benchmarks.report import Figure, Series, Table, ratio_at_most
from benchmarks.served import Served, served

TIMES = 40
"""How often an operation is done in a round; a round's value is the median."""

TOP = 300
"""Jobs that are claimed and finished in a round, before all the others."""

DELAYED = 1_000_000
DEEP_UP_TO = 1_000_000
"""Jobs that the daemon can examine within its limit of a minute, with room to spare."""

BAR = ratio_at_most(1.3)

Times = dict[str, dict[str, list[float]]]


def run(options: Options) -> list[Table]:
    """Fill the stores and compare them."""
    with ExitStack() as stack:
        stores = {
            f"{size:,} jobs": _store(stack, Ballast(size - size // 2, size // 2))
            for size in options.sizes
        }
        smallest = options.sizes[0] // 2
        delayed = options.jobs(DELAYED)
        stores[f"{delayed:,} delayed"] = _store(
            stack, Ballast(smallest, smallest, delayed)
        )
        times: Times = defaultdict(lambda: defaultdict(list))
        for _ in range(options.rounds):
            _round(stores, times)
    return [
        Table(
            "scale",
            "cost of an operation with ever more jobs in the store",
            tuple(_figures(times)),
            "Half of the jobs are ready to run, half completed. The last store has the "
            "fewest of these, and delayed jobs of higher priority. *claim and finish* "
            f"is a worker's time for each of {TOP} jobs that come before all others.",
        )
    ]


def _store(stack: ExitStack, ballast: Ballast) -> Served:
    daemon = stack.enter_context(served())
    filling.fill(daemon, ballast)
    if ballast.pending + ballast.completed + ballast.delayed <= DEEP_UP_TO:
        filling.assert_sound(daemon)
    return daemon


def _figures(times: Times) -> list[Figure]:
    figures = []
    for operation, stores in times.items():
        (first, base), *others = stores.items()
        figures.append(Figure(f"{operation}, {first}", "ms", tuple(base)))
        floor = Series(first, tuple(base))
        figures += [
            Figure(f"{operation}, {name}", "ms", tuple(values), floor, BAR)
            for name, values in others
        ]
    return figures


def _round(stores: dict[str, Served], times: Times) -> None:
    taken: Times = defaultdict(lambda: defaultdict(list))
    for _ in range(TIMES):
        for name, daemon in stores.items():
            job: list[str] = []
            for operation, act in _operations(daemon, job).items():
                begun = time.perf_counter()
                act()
                took = (time.perf_counter() - begun) * 1000
                taken[operation][name].append(took)
    for name, daemon in stores.items():
        taken["claim and finish"][name].append(_claim_and_finish(daemon))
    for operation, found in taken.items():
        for name, values in found.items():
            times[operation][name].append(statistics.median(values))


def _operations(daemon: Served, job: list[str]) -> dict[str, Callable[[], object]]:
    """Return what is done; the job that is enqueued is the one that is cancelled."""
    client = daemon.client
    new = {"job": {"command": "true", "priority": -1}}
    return {
        "enqueue": lambda: job.append(client.call("enqueue", new)["job"]["id"]),
        "status": lambda: client.call("status"),
        "list --limit 20": lambda: client.call("list", {"limit": 20}),
        "cancel": lambda: client.call("cancel", {"id": job[0]}),
    }


def _claim_and_finish(daemon: Served) -> float:
    """Return a worker's milliseconds for one of the foremost jobs."""
    jobs = [{"command": "true", "priority": 1_000_000}] * TOP
    ids = daemon.client.call("enqueue_many", {"jobs": jobs})["ids"]
    daemon.client.workers.start(1)
    daemon.client.wait(ids[-1])
    daemon.client.workers.stop(now=True)
    return daemon.span(list(daemon.client.list(limit=TOP))) * 1000 / TOP
