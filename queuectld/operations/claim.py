"""Claim: give ready jobs to workers, each under a new lease."""

from collections.abc import Sequence

from queuectld.core import lifecycle
from queuectld.core.event import Event
from queuectld.core.job import Assignment, Job
from queuectld.operations.done import Done
from queuectld.store.api import Transaction


def claim(
    tx: Transaction, workers: Sequence[int], *, least_lease: int, now: int
) -> Done[list[Assignment]]:
    """Claim up to one job for each worker, in the workers' order.

    Args:
        tx: the transaction.
        workers: their numbers.
        least_lease: the least number that a lease may be.
        now: the present.
    """
    assignments = [
        assign(tx, job, worker, least_lease=least_lease, now=now)
        for worker, job in zip(workers, startable(tx, len(workers), now), strict=False)
    ]
    return assignments, [(Event.CLAIM, a.job, None) for a in assignments]


def startable(tx: Transaction, limit: int, now: int) -> list[Job]:
    """Return up to ``limit`` jobs to be claimed next, without those that have expired.

    They may be at the head of the queue until the next ``promote`` has cancelled them.
    """
    return [job for job in tx.ready(limit) if not lifecycle.has_expired(job, now)]


def claim_job(
    tx: Transaction, seq: int, worker: int, *, least_lease: int, now: int
) -> Done[list[Assignment]]:
    """Claim one certain job, if it is ready."""
    job = tx.job_by_seq(seq)
    if job is None or not job.due or lifecycle.has_expired(job, now):
        return [], ()
    assignment = assign(tx, job, worker, least_lease=least_lease, now=now)
    return [assignment], [(Event.CLAIM, assignment.job, None)]


def assign(
    tx: Transaction, job: Job, worker: int, *, least_lease: int, now: int
) -> Assignment:
    """Claim a job that is ready; another operation announces it."""
    lease = tx.next_lease(least_lease)
    claimed = lifecycle.claim(job, now=now, lease=lease, worker=worker)
    tx.update(job, claimed)
    could_start = max(job.created_at, job.run_at or 0)
    tx.measure("wait", now, max(0, now - could_start))
    env = None if job.env_key is None else tx.environment(job.env_key)
    return Assignment(claimed, env, job.env_key)
