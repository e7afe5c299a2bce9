"""The results that workers leave on the disk when no daemon records them at once.

A result is in the spool, or, if the spool has no room, behind the record of its
worker. It is removed only after it is committed.
"""

from collections.abc import Collection, Iterable

from queuectld.core.job import AttemptEnd
from queuectld.host import logs
from queuectld.host.thread_pool import ThreadPool
from queuectld.workers.daemon_side.handle import RunningAttempt
from queuectld.workers.daemon_side.leftovers import KILL_WITHIN
from queuectld.workers.daemon_side.pool import Pool
from queuectld.workers.daemon_side.worker_config import WorkerConfig
from queuectld.workers.shared import cgroup, outputs, records, spool
from queuectld.workers.shared.records import WorkerRecord
from queuectld.workers.shared.spool import SpooledResult

_events = logs.get("recovery")


class LeftResults:
    """Spooled results and workers' records: read, kept, and removed when committed."""

    def __init__(self, pool: Pool, config: WorkerConfig) -> None:
        self._pool = pool
        self._config = config
        self._spool = config.spool_dir
        # A worker that waits for its next job never waits for a search of processes.
        self._threads = ThreadPool("results", 1, ready=True)
        # By lease: the number of a dead worker whose record may have to hold a result.
        self._held_records: dict[int, int] = {}

    # -- read and keep ------------------------------------------------------------

    def read(self, attempt: RunningAttempt) -> AttemptEnd | None:
        """Return the result that a dead worker left, if it did. Blocks; use a thread.

        Raises:
            OSError: there may be one, and it cannot be read now.
        """
        try:
            result = spool.read(self._spool, attempt.lease)
            if result is None:
                return self._read_behind_record(attempt)
            if not self._is_of(result, attempt):
                raise spool.SpoolError("it is of another job or run")  # noqa: TRY301
        except spool.SpoolError as error:
            aside = spool.set_aside(self._spool, attempt.lease)
            _events.error(
                "spool_unreadable", job_id=attempt.job_id, file=aside, error=str(error)
            )
            return None
        return result.end

    def _read_behind_record(self, attempt: RunningAttempt) -> AttemptEnd | None:
        data = records.kept(self._config.record_of(attempt.worker))
        try:
            result = data and spool.decode(data)
        except spool.SpoolError:
            return None  # a worker was killed while it wrote
        if (
            result
            and result.end.lease == attempt.lease
            and self._is_of(result, attempt)
        ):
            return result.end
        return None

    def _is_of(self, result: SpooledResult, attempt: RunningAttempt) -> bool:
        """Whether a result is of that attempt.

        Leases are unique within a store only, and a database may be replaced while a
        worker of the old one goes on.
        """
        whose = (self._config.store_id, attempt.seq, attempt.run)
        return (result.store, result.seq, result.run) == whose

    def keep(self, attempt: RunningAttempt, end: AttemptEnd) -> None:
        """Spool a result that cannot be recorded now, as its worker would."""
        store, worker = self._config.store_id, attempt.worker
        result = SpooledResult(store, worker, attempt.seq, attempt.run, end)
        try:
            spool.write(self._spool, result)
        except OSError as error:
            record = self._config.record_of(worker)
            if not records.keep(record, spool.encode(result)):
                # A worker that still lives keeps it as well, and waits for room.
                _events.error("result_not_kept", **attempt.about(), error=str(error))

    async def record_of(self, worker: int) -> WorkerRecord | None:
        """Return what a worker wrote about itself."""
        return await self._threads.run(records.read, self._config.record_of(worker))

    def hold_record(self, worker: int, lease: int) -> None:
        """Keep the record of a dead worker until ``forget`` is called for its lease.

        Its result is being recorded. Should that fail until the daemon ends, the record
        may be the last place for it.
        """
        self._held_records[lease] = worker

    # -- remove -------------------------------------------------------------------

    async def forget(self, lease: int) -> None:
        """Remove the result that a worker may have spooled. It is committed."""
        await self._threads.run(spool.remove, self._spool, lease)
        if (worker := self._held_records.pop(lease, None)) is not None:
            await self.remove_record(worker)

    async def remove_record(self, worker: int) -> None:
        """Remove the record of a dead worker."""
        await self._threads.run(records.remove, self._config.record_of(worker))

    async def clear(self, attempt: RunningAttempt) -> None:
        """Remove what a dead worker left of an attempt whose end is committed."""
        await self._threads.run(self._clear, attempt)

    def _clear(self, attempt: RunningAttempt) -> None:
        lease = attempt.lease
        spool.remove(self._spool, lease)
        outputs.remove_empty(self._config.output_dir, attempt.seq, attempt.run, lease)
        if attempt.worker not in self._pool.workers:
            records.remove(self._config.record_of(attempt.worker))

    async def sweep(
        self, dead: Iterable[WorkerRecord], running: Collection[int | None]
    ) -> None:
        """Remove everything that dead workers left of attempts that are on record.

        Args:
            dead: their records.
            running: the leases of attempts that are still to be settled.
        """
        await self._threads.run(self._sweep, dead, running)

    def _sweep(
        self, dead: Iterable[WorkerRecord], running: Collection[int | None]
    ) -> None:
        for record in dead:
            if record.lease not in running:
                records.remove(self._config.record_of(record.worker))
        records.remove_empty(self._config.records_dir)
        held: set[int | None] = {
            w.attempt.lease for w in self._pool if w.attempt is not None
        }
        held.update(running)
        if self._config.cgroup is not None:
            store_id = self._config.store_id
            cgroup.remove_all(self._config.cgroup, store_id, held, within=KILL_WITHIN)
        for lease in spool.leases(self._spool) + spool.drafts(self._spool):
            if lease not in held:
                spool.remove(self._spool, lease)
