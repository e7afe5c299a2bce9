"""What becomes of attempts whose worker cannot tell: found, ended, recorded once.

The order matters: a worker is *seen dead* before its spool file is read, what is left
of its job is ended before the job can be queued again, and a spool file goes only
after its result is committed.

Attempts that run and of which the store knows nothing are ended first of all: the store
may be an older copy, and what runs may wait in it.
"""

import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from queuectl_protocol.units import format_time
from queuectl_protocol.vocabulary import Reason
from queuectld.broker import Broker
from queuectld.clock import Clock
from queuectld.control import untracked_runs
from queuectld.core.job import AttemptEnd, Job
from queuectld.core.limits import NONE
from queuectld.host import logs
from queuectld.host.thread_pool import ThreadPool
from queuectld.linux import pidfd, procfs
from queuectld.linux.procfs import ProcessId
from queuectld.operations import lookups
from queuectld.store.api import COPIED_AT
from queuectld.workers.daemon_side import leftovers
from queuectld.workers.daemon_side.handle import (
    RunningAttempt,
    WorkerHandle,
    attempt_of,
)
from queuectld.workers.daemon_side.pool import Pool
from queuectld.workers.daemon_side.worker_config import WorkerConfig
from queuectld.workers.shared import cgroup, outputs, records, spool
from queuectld.workers.shared.records import WorkerRecord
from queuectld.workers.shared.spool import SpooledResult

_events = logs.get("recovery")

_AT_ONCE = 8
"""Dead workers whose jobs are looked for and ended at the same time: that can take
``leftovers.KILL_WITHIN`` each."""

_MESSAGES = {
    Reason.LOST: "the worker or the machine died while the command ran",
    Reason.TIMEOUT: "the worker did not end the command in time and was killed with it",
}


_COPIED = (
    "it ran when the copy was made that this queue was restored from, at {}; what "
    "became of it after that is not known"
)


@dataclass(frozen=True, slots=True)
class Unsettled:
    """An attempt whose worker is dead.

    Attributes:
        record: what the worker wrote of itself, if that is there.
        copied_at: it ran when the copy was made of which this store is made, and that
            is the last that is known of it; None: it is not so.
    """

    run: RunningAttempt
    record: WorkerRecord | None = None
    copied_at: int | None = None


class Recovery:
    """Buries workers: one at a time while the daemon runs, all of them at its start."""

    def __init__(
        self, broker: Broker, pool: Pool, config: WorkerConfig, clock: Clock
    ) -> None:
        self._broker = broker
        self._pool = pool
        self._clock = clock
        self._config = config
        self._store_id = config.store_id
        self._output = config.output_dir
        self._spool = config.spool_dir
        self._records = config.records_dir
        self._cgroup = config.cgroup
        self._searching = ThreadPool("recovery", _AT_ONCE, ready=True)
        # A worker that is to have its next job never waits for what searches.
        self._filing = ThreadPool("results", 1, ready=True)
        self._unrecorded: dict[int, str] = {}  # records that may have to hold a result

    async def adopt(self) -> list[Unsettled]:
        """At the start: take in the workers that live; return what the others left."""
        running = {job.lease: job for job in await self._broker.read(lookups.running)}
        dead: dict[int | None, WorkerRecord] = {}
        idle: list[untracked_runs.Living] = []
        leases = set(running)
        for record in records.read_all(self._records):
            if record.store != self._store_id:
                continue
            pidfd_ = _alive(record)
            if pidfd_ is None:
                dead[record.worker] = record
                continue
            job = _job_of(record, running.values())
            if job is None:
                idle.append(untracked_runs.Living(record, pidfd_))
                continue
            del running[job.lease]
            self._take_in(record, pidfd_, job)
        await self._searching.run(self._end_strangers, idle, dead.values(), leases)
        await self._searching.run(self._sweep, dead.values(), set(running))
        copied_at = int(await self._broker.read(lookups.meta, COPIED_AT) or 0)
        return [
            _as_copied(self.unsettled(job, dead.get(job.worker)), copied_at)
            for job in running.values()
        ]

    def unsettled(self, job: Job, record: WorkerRecord | None = None) -> Unsettled:
        """Return a job in ``processing`` that no living worker has, to be settled."""
        return Unsettled(_run(job), record)

    async def settle_dead_worker(self, worker: WorkerHandle) -> None:
        """A worker is gone: settle the run it had, and remove its record."""
        file = records.file_of(self._records, worker.number)
        record = await self._filing.run(records.read, file)
        run = worker.attempt
        lease = None if record is None else record.lease
        if lease is not None and (run is None or run.lease != lease):
            # It may have spooled a result that was committed before it was told so.
            await self.forget(lease)
        run = worker.attempt
        if run is not None and run.reported:
            # Until that is on record, this may be the last place for it: ``forget``.
            self._unrecorded[run.lease] = file
            return
        if run is not None:
            await self.settle(Unsettled(run, record))
        await self._filing.run(records.remove, file)

    async def settle(self, unsettled: Unsettled) -> None:
        """Record the end of an attempt whose worker is dead."""
        run, record = unsettled.run, unsettled.record
        leader = untracked_runs.leader(run.lease, record)
        end = await self._searching.run(
            self._end_of, run, leader, copied_at=unsettled.copied_at
        )
        await self._broker.finish(run.seq, end, asked=run.asked)
        await self._filing.run(self._clear, run)
        _events.info("attempt_settled", **run.about(), reason=end.reason)

    async def forget(self, lease: int) -> None:
        """Remove the result that a worker may have spooled. It is committed."""
        await self._filing.run(spool.remove, self._spool, lease)
        if file := self._unrecorded.pop(lease, None):
            await self._filing.run(records.remove, file)

    def keep(self, run: RunningAttempt, end: AttemptEnd) -> None:
        """Spool a result that cannot be recorded now, as its worker would."""
        result = SpooledResult(self._store_id, run.worker, run.seq, run.run, end)
        try:
            spool.write(self._spool, result)
        except OSError as error:
            file = records.file_of(self._records, run.worker)
            if records.keep(file, spool.encode(result)):
                return
            # A worker that still lives keeps it as well, and waits for room.
            _events.error("result_not_kept", **run.about(), error=str(error))

    def _take_in(self, record: WorkerRecord, pidfd_: int, job: Job) -> None:
        grace = self._broker.settings.kill_grace
        run = _run(job)
        run.deadline = self._pool.deadline_of(job, record, grace)
        worker = self._pool.adopt(record, pidfd_, run)
        self._limit_again(job, run)
        if run.end_reason is Reason.CANCELLED:
            # The last daemon may have died between the commit and the kill.
            self._pool.end_attempt(worker, Reason.CANCELLED, grace)

    def _limit_again(self, job: Job, run: RunningAttempt) -> None:
        """Between two daemons the service's cgroup has no controllers."""
        if self._cgroup is None or job.limits is NONE:
            return
        try:
            cgroup.limit(self._group(run), job.limits)
        except OSError as error:
            _events.error("limits_not_restored", **run.about(), error=str(error))

    def _group(self, run: RunningAttempt) -> str:
        assert self._cgroup is not None
        return cgroup.path(self._cgroup, self._store_id, run.seq, run.run, run.lease)

    def _end_of(
        self, run: RunningAttempt, leader: ProcessId | None, *, copied_at: int | None
    ) -> AttemptEnd:
        told = self._spooled(run)
        if told is not None:
            return _as_meant(told, run)
        if self._cgroup is not None:
            cgroup.end(self._group(run), within=leftovers.KILL_WITHIN)
        # And whoever has left it.
        traces = self._traces(run, leader)
        self._kill_leftovers(traces, job_id=run.job_id, lease=run.lease)
        never = never_started(run.lease, self._clock.wall())
        sizes = outputs.sizes(self._output, run.seq, run.run, run.lease)
        if sizes is None and copied_at is None and not self._before_boot(run):
            return never
        stdout, stderr = sizes or (None, None)
        reason = run.end_reason or Reason.LOST
        message = _MESSAGES.get(reason)
        if copied_at is not None and reason is Reason.LOST:
            message = _COPIED.format(format_time(copied_at))
        return never._replace(
            started_at=run.started_at,
            finished_at=copied_at or never.finished_at,
            reason=reason,
            message=message,
            stdout_bytes=stdout,
            stderr_bytes=stderr,
        )

    def _before_boot(self, run: RunningAttempt) -> bool:
        """Whether it began before the machine was started.

        The files that tell that it began are not synced, so a power cut may have
        taken them. A job that brings the machine down must not run for ever.
        """
        return run.started_at < self._clock.wall() - procfs.uptime_ms()

    def _end_strangers(
        self,
        idle: Iterable[untracked_runs.Living],
        dead: Iterable[WorkerRecord],
        running: Collection[int | None],
    ) -> None:
        for traces in untracked_runs.find(self._config, idle, dead, running):
            self._kill_leftovers(traces, lease=traces.lease)

    def _traces(
        self, run: RunningAttempt, leader: ProcessId | None
    ) -> leftovers.Traces:
        return leftovers.Traces(
            store=self._store_id,
            lease=run.lease,
            leader=leader,
            outputs=outputs.paths(self._output, run.seq, run.run, run.lease),
            orphans=self._pool.orphans,
        )

    def _kill_leftovers(self, traces: leftovers.Traces, **whose: int | str) -> None:
        found = leftovers.kill_leftovers(
            traces, within=leftovers.KILL_WITHIN, clock=self._clock
        )
        if found.ended:
            pids = [process.pid for process in found.ended]
            _events.warning("leftovers_killed", **whose, pids=pids)
        if found.left:
            pids = [process.pid for process in found.left]
            _events.error("leftovers_alive", **whose, pids=pids)

    def _spooled(self, run: RunningAttempt) -> AttemptEnd | None:
        """Return the result that the worker left, if it did.

        Raises:
            OSError: there may be one, and it cannot be read now.
        """
        try:
            told = spool.read(self._spool, run.lease)
            if told is None:
                return self._behind_record(run)
            if not self._is_of(told, run):
                raise spool.SpoolError("it is of another job or run")  # noqa: TRY301
        except spool.SpoolError as error:
            aside = spool.set_aside(self._spool, run.lease)
            _events.error(
                "spool_unreadable", job_id=run.job_id, file=aside, error=str(error)
            )
            return None
        return told.end

    def _behind_record(self, run: RunningAttempt) -> AttemptEnd | None:
        """Return the result that had no room in the spool, if that is where it is."""
        data = records.kept(records.file_of(self._records, run.worker))
        try:
            told = data and spool.decode(data)
        except spool.SpoolError:
            return None  # a worker was killed while it wrote
        if told and told.end.lease == run.lease and self._is_of(told, run):
            return told.end
        return None

    def _is_of(self, told: SpooledResult, run: RunningAttempt) -> bool:
        """Whether a result is of that run.

        Leases are unique within a store only, and a database may be replaced while a
        worker of the old one goes on.
        """
        whose = (self._store_id, run.seq, run.run)
        return (told.store, told.seq, told.run) == whose

    def _clear(self, run: RunningAttempt) -> None:
        """Remove what an attempt leaves that is on record now."""
        spool.remove(self._spool, run.lease)
        outputs.remove_empty(self._output, run.seq, run.run, run.lease)
        if run.worker not in self._pool.workers:
            records.remove(records.file_of(self._records, run.worker))

    def _sweep(
        self, dead: Iterable[WorkerRecord], running: Collection[int | None]
    ) -> None:
        """Remove what dead workers left of attempts that are on record."""
        for record in dead:
            if record.lease not in running:
                records.remove(records.file_of(self._records, record.worker))
        records.remove_empty(self._records)
        held: set[int | None] = {
            w.attempt.lease for w in self._pool if w.attempt is not None
        }
        held.update(running)
        if self._cgroup is not None:
            within = leftovers.KILL_WITHIN
            cgroup.remove_all(self._cgroup, self._store_id, held, within=within)
        for lease in spool.leases(self._spool) + spool.drafts(self._spool):
            if lease not in held:
                spool.remove(self._spool, lease)


def never_started(lease: int, at: int) -> AttemptEnd:
    """Return the end of an attempt whose worker was gone before it began."""
    return AttemptEnd(
        lease=lease,
        started_at=None,
        finished_at=at,
        reason=Reason.INTERRUPTED,
        message="the worker ended before it started the command",
    )


def _job_of(record: WorkerRecord, running: Iterable[Job]) -> Job | None:
    """Return the job that a living worker runs.

    A worker writes its record after the spawn: one that was just given a run still
    shows the lease of the run before, so what is on record for its number counts. One
    that shows a later lease than that has begun what the store does not know of.
    """
    own = [job for job in running if job.worker == record.worker]
    shown = [job for job in own if job.lease == record.lease]
    given = [job for job in own if (record.lease or 0) < (job.lease or 0)]
    return next(iter(shown or given), None)


def _as_copied(unsettled: Unsettled, copied_at: int) -> Unsettled:
    """Return it with when the store was copied, if nothing later is known of it.

    Its worker's record would be: that is of the machine and not of the copy.
    """
    run, record = unsettled.run, unsettled.record
    known = record is not None and record.lease == run.lease
    if known or run.started_at > copied_at:
        return unsettled
    return replace(unsettled, copied_at=copied_at)


def _run(job: Job) -> RunningAttempt:
    assert job.worker is not None
    run = attempt_of(job.worker, job)
    if job.cancel_requested:
        run.end_reason = Reason.CANCELLED
    return run


def _as_meant(told: AttemptEnd, run: RunningAttempt) -> AttemptEnd:
    """An adopted worker hears one signal only, and takes it for an interruption."""
    if told.reason is Reason.INTERRUPTED and run.end_reason is Reason.CANCELLED:
        return told._replace(reason=Reason.CANCELLED)
    return told


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
