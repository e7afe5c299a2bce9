"""Counts the workers that take any job."""

from collections.abc import Iterable

from queuectld.workers.daemon_side.handle import WorkerHandle


def active(workers: Iterable[WorkerHandle]) -> int:
    """Return how many take jobs now or when they are ready."""
    return sum(not worker.stopping and worker.only_for is None for worker in workers)


def busy(workers: Iterable[WorkerHandle]) -> int:
    """Return how many run a job."""
    return sum(worker.run is not None and worker.only_for is None for worker in workers)
