"""Prunes finished jobs with their output, on request or after ``retention``."""

from collections.abc import Sequence

from queuectl_protocol.vocabulary import JobState
from queuectld.broker import Broker
from queuectld.clock import Clock
from queuectld.core.errors import QueueError
from queuectld.core.job import Job
from queuectld.host import logs
from queuectld.host.thread_pool import ThreadPool
from queuectld.operations import delete, upkeep
from queuectld.operations.lookups import JobView
from queuectld.workers.shared import outputs

_events = logs.get("housekeeping")

RETENTION_STATES = (JobState.COMPLETED, JobState.CANCELLED)
"""What ``retention`` applies to. Dead jobs wait for a person to decide."""


class Pruner:
    """Removes finished jobs from the store, and their output from the disk."""

    def __init__(self, broker: Broker, output_dir: str, clock: Clock) -> None:
        self._broker = broker
        self._output_dir = output_dir
        self._clock = clock
        self._threads = ThreadPool("pruning", 1, ready=True)

    async def remove_old(self) -> int:
        """Merge old statistics, and prune jobs older than ``retention``.

        Return how many jobs were pruned.
        """
        now = self._clock.wall()
        while await self._broker.run(
            lambda tx: upkeep.thin_statistics(tx, now), weight=upkeep.THINNING_WEIGHT
        ):
            pass
        retention = self._broker.settings.retention
        if not retention:
            return 0
        pruned = await self.prune(RETENTION_STATES, retention)
        if pruned:
            _events.info("jobs_pruned", count=pruned)
        return pruned

    async def prune(self, states: Sequence[JobState], older_than: float) -> int:
        """Delete jobs in final states that ended ``older_than`` seconds ago.

        In bounded steps, so that other writes go on in between. Return how many.
        """
        before = self._clock.wall() - round(older_than * 1000) + 1
        pruned = 0
        while found := await self._broker.read(delete.prunable, states, before):
            # Files first: a crash in between leaves jobs without output, which are
            # deleted the next time, but never output without a job.
            await self._threads.run(self._remove_output, found)
            gone = await self._delete_unchanged(found)
            pruned += len(gone)
            if not gone:
                break  # all of them were retried meanwhile
        return pruned

    async def delete(
        self,
        ids: Sequence[str],
        if_state: JobState | None = None,
        *,
        confined_to: int | None = None,
    ) -> list[Job | QueueError]:
        """Delete finished jobs, each by itself; return each, or why it stays.

        In bounded steps, as ``prune``. The jobs are returned without their texts.
        """
        done: list[Job | QueueError] = []
        for begin in range(0, len(ids), delete.AT_ONCE):
            step = ids[begin : begin + delete.AT_ONCE]
            done += await self._delete_step(step, if_state, confined_to)
        return done

    async def _delete_step(
        self, ids: Sequence[str], if_state: JobState | None, confined_to: int | None
    ) -> list[Job | QueueError]:
        """Delete the jobs of a step; try again with those that changed meanwhile."""
        done: dict[str, Job | QueueError] = {}
        while left := [job_id for job_id in ids if job_id not in done]:
            found = await self._broker.read(
                delete.deletable, left, if_state=if_state, confined_to=confined_to
            )
            views = [view for view in found if isinstance(view, JobView)]
            await self._threads.run(self._remove_output, views)
            gone = await self._delete_unchanged(views)
            done |= {job.id: job for job in gone}
            for job_id, view in zip(left, found, strict=True):
                if isinstance(view, QueueError):
                    done.setdefault(job_id, view)
        return [done[job_id] for job_id in ids]

    async def _delete_unchanged(self, views: Sequence[JobView]) -> list[Job]:
        """Delete jobs, except those that changed meanwhile; return the deleted ones."""
        jobs = [view.job for view in views]
        return await self._broker.run(
            lambda tx: delete.delete(tx, jobs), weight=len(jobs)
        )

    def _remove_output(self, views: Sequence[JobView]) -> None:
        for view in views:
            for attempt in view.attempts:
                try:
                    outputs.remove(
                        self._output_dir, view.job.seq, attempt.run, attempt.lease
                    )
                except OSError as error:
                    _events.warning(
                        "output_not_removed", job_id=view.job.id, error=str(error)
                    )
