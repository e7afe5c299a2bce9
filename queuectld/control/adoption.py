"""At the start: takes over what the last daemon left behind.

Workers that live are adopted. Attempts whose worker is dead are settled. Runs that the
store does not know are killed first of all: the store may be an older copy, and what
runs may be a job that waits in it.
"""

import os
from collections.abc import Iterable
from dataclasses import replace

from queuectl_protocol.vocabulary import Reason
from queuectld.broker import Broker
from queuectld.control import untracked_runs
from queuectld.control.attempts import Attempts
from queuectld.control.left_results import LeftResults
from queuectld.control.recovery import (
    Recovery,
    Unsettled,
    attempt_under_way,
    group_of,
)
from queuectld.control.untracked_runs import LivingWorker
from queuectld.core.job import Job
from queuectld.core.limits import NONE
from queuectld.host import logs
from queuectld.linux import pidfd, procfs
from queuectld.linux.procfs import ProcessId
from queuectld.operations import lookups
from queuectld.store.api import COPIED_AT
from queuectld.workers.daemon_side.pool import Pool
from queuectld.workers.daemon_side.worker_config import WorkerConfig
from queuectld.workers.shared import cgroup, records
from queuectld.workers.shared.records import WorkerRecord

_events = logs.get("recovery")


class Adoption:
    """Takes over the workers and the attempts of the last daemon, once."""

    def __init__(
        self,
        *,
        broker: Broker,
        pool: Pool,
        attempts: Attempts,
        recovery: Recovery,
        results: LeftResults,
        config: WorkerConfig,
    ) -> None:
        self._broker = broker
        self._pool = pool
        self._attempts = attempts
        self._recovery = recovery
        self._results = results
        self._config = config

    async def run(self) -> None:
        """Adopt the workers that live; begin to settle what the others left."""
        running = {job.lease: job for job in await self._broker.read(lookups.running)}
        leases = set(running)
        dead: dict[int | None, WorkerRecord] = {}
        unknown: list[LivingWorker] = []
        for record in records.read_all(self._config.records_dir):
            if record.store != self._config.store_id:
                continue
            handle = _alive(record)
            if handle is None:
                dead[record.worker] = record
                continue
            job = _job_of(record, running.values())
            if job is None:
                unknown.append(LivingWorker(record, handle))
                continue
            del running[job.lease]
            self._adopt(record, handle, job)
        await self._recovery.kill_untracked(
            untracked_runs.find(self._config, unknown, dead.values(), leases)
        )
        await self._results.sweep(dead.values(), set(running))
        copied_at = int(await self._broker.read(lookups.meta, COPIED_AT) or 0)
        for job in running.values():
            unsettled = Unsettled(attempt_under_way(job), dead.get(job.worker))
            self._attempts.settle(_as_copied(unsettled, copied_at))

    def _adopt(self, record: WorkerRecord, handle: int, job: Job) -> None:
        grace = self._broker.settings.kill_grace
        attempt = attempt_under_way(job)
        attempt.deadline = self._pool.deadline_of(job, record, grace)
        worker = self._pool.adopt(record, handle, attempt)
        if self._config.cgroup is not None and job.limits is not NONE:
            # Between two daemons the service's cgroup has no controllers.
            try:
                cgroup.limit(group_of(self._config, attempt), job.limits)
            except OSError as error:
                about = attempt.about()
                _events.error("limits_not_restored", **about, error=str(error))
        if attempt.end_reason is Reason.CANCELLED:
            # The last daemon may have died between the commit and the kill.
            self._pool.end_attempt(worker, Reason.CANCELLED, grace)


def _job_of(record: WorkerRecord, running: Iterable[Job]) -> Job | None:
    """Return the job that a living worker runs; None: the store does not know it.

    A worker writes its record after the spawn. One that was just given a job still
    shows the lease of the job before; then the job that the store has for its number
    counts. One that shows a later lease than the store has runs something unknown.
    """
    own = [job for job in running if job.worker == record.worker]
    shown = [job for job in own if job.lease == record.lease]
    given = [job for job in own if (record.lease or 0) < (job.lease or 0)]
    return next(iter(shown or given), None)


def _as_copied(unsettled: Unsettled, copied_at: int) -> Unsettled:
    """Return it with the time of the store's copy, if nothing later is known of it.

    The record of its worker would be later: it belongs to the machine, not to the copy.
    """
    attempt, record = unsettled.attempt, unsettled.record
    known = record is not None and record.lease == attempt.lease
    if known or attempt.started_at > copied_at:
        return unsettled
    return replace(unsettled, copied_at=copied_at)


def _alive(record: WorkerRecord) -> int | None:
    """Return a pidfd of the recorded worker if that very process still lives."""
    if record.boot_id != procfs.boot_id():
        return None
    handle = pidfd.acquire(ProcessId(record.pid, record.ticks))
    if handle is None:
        return None
    if pidfd.ended(handle):  # and is not reaped yet
        os.close(handle)
        return None
    return handle
