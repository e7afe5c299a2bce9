"""What becomes of attempts whose worker cannot tell: found, ended, recorded once.

The order matters: a worker is *seen dead* before its spool file is read, what is left
of its job is ended before the job can be queued again, and a spool file goes only
after its result is committed.
"""

import asyncio
import os
import select
from collections.abc import Collection, Iterable
from dataclasses import replace

from queuectl_protocol.vocabulary import Reason
from queuectld import logs
from queuectld.broker import Broker
from queuectld.clock import Clock
from queuectld.core.job import AttemptEnd, Job
from queuectld.workers import ending, outputs, procfs, records, spool
from queuectld.workers.handle import Run, Worker
from queuectld.workers.pool import Places, Pool
from queuectld.workers.procfs import ProcessId
from queuectld.workers.records import WorkerRecord

_events = logs.get("recovery")

KILL_WITHIN = 10.0
"""Seconds for processes to go after SIGKILL; only what is stuck in the kernel needs
more, and then nobody can help."""

_MESSAGES = {
    Reason.LOST: "the worker or the machine died while the command ran",
    Reason.TIMEOUT: "the worker did not end the command in time and was killed with it",
}


class Recovery:
    """Buries workers: one at a time while the daemon runs, all of them at its start."""

    def __init__(self, broker: Broker, places: Places, clock: Clock) -> None:
        self._broker = broker
        self._clock = clock
        self._store_id = places.store_id
        self._output = str(places.output)
        self._spool = str(places.spool)
        self._records = str(places.records)

    async def adopt_or_settle(self, pool: Pool) -> None:
        """At the start: take in the workers that live, settle what the others left."""
        # By worker, not by lease: a worker writes its record after the spawn, so one
        # that was just given a run still shows the lease of the run before.
        running = {job.worker: job for job in await self._broker.running()}
        dead: dict[int | None, WorkerRecord] = {}
        adopted: set[int | None] = set()
        for record in records.read_all(self._records):
            if record.store != self._store_id:
                continue
            pidfd = _open(record)
            if pidfd is None:
                dead[record.worker] = record
                continue
            job = running.pop(record.worker, None)
            adopted |= {record.lease, None if job is None else job.lease}
            run = None if job is None else self._run_on(pool, job)
            worker = pool.adopt(record, pidfd, run)
            if run is not None and run.verdict is Reason.CANCELLED:
                # The last daemon may have died between the commit and the kill.
                grace = self._broker.settings.kill_grace
                pool.end_run(worker, Reason.CANCELLED, grace)
        for job in running.values():
            await self.settle(_run(job), dead.get(job.worker))
        await asyncio.to_thread(self._sweep, dead.values(), adopted)

    async def bury(self, worker: Worker) -> None:
        """A worker is gone: settle the run it had, and remove its record."""
        file = records.file_of(self._records, worker.number)
        record = await asyncio.to_thread(records.read, file)
        run = worker.run
        lease = None if record is None else record.lease
        if lease is not None and (run is None or run.lease != lease):
            # It may have spooled a result that was committed before it was told so.
            await self.forget(lease)
        if run is not None and not run.reported:
            await self.settle(run, record)
        await asyncio.to_thread(records.remove, file)

    async def forget(self, lease: int) -> None:
        """Remove the result that a worker may have spooled. It is committed."""
        await asyncio.to_thread(spool.remove, self._spool, lease)

    async def settle(self, run: Run, record: WorkerRecord | None) -> None:
        """Record the end of an attempt whose worker is dead."""
        end = await asyncio.to_thread(self._end_of, run, _leader(run, record))
        await self._broker.finish(run.seq, end)
        await self.forget(run.lease)
        await asyncio.to_thread(
            outputs.remove_empty, self._output, run.seq, run.run, run.lease
        )
        _events.info(
            "attempt_settled",
            job=run.job_id,
            run=run.run,
            lease=run.lease,
            reason=end.reason,
        )

    def _end_of(self, run: Run, leader: ProcessId | None) -> AttemptEnd:
        told = self._spooled(run.lease)
        if told is not None:
            return _as_meant(told, run)
        self._kill_leftovers(run, leader)
        never = AttemptEnd(
            lease=run.lease,
            started_at=None,
            finished_at=self._clock.wall(),
            reason=Reason.INTERRUPTED,
            message="the worker ended before it started the command",
        )
        sizes = outputs.sizes(self._output, run.seq, run.run, run.lease)
        if sizes is None:
            return never
        reason = run.verdict or Reason.LOST
        return replace(
            never,
            started_at=run.started_at,
            reason=reason,
            message=_MESSAGES.get(reason),
            stdout_bytes=sizes[0],
            stderr_bytes=sizes[1],
        )

    def _kill_leftovers(self, run: Run, leader: ProcessId | None) -> None:
        traces = ending.Traces(
            store=self._store_id,
            lease=run.lease,
            leader=leader,
            outputs=outputs.paths(self._output, run.seq, run.run, run.lease),
        )
        found = ending.kill_leftovers(traces, within=KILL_WITHIN, clock=self._clock)
        if found.ended:
            pids = [process.pid for process in found.ended]
            _events.warning("leftovers_killed", job=run.job_id, pids=pids)
        if found.left:
            pids = [process.pid for process in found.left]
            _events.error("leftovers_alive", job=run.job_id, pids=pids)

    def _spooled(self, lease: int) -> AttemptEnd | None:
        try:
            told = spool.read(self._spool, lease)
        except (OSError, spool.SpoolError) as error:
            # It stays for whoever looks into it; the attempt counts as lost.
            _events.error("spool_unreadable", lease=lease, error=str(error))
            return None
        return None if told is None else told.end

    def _run_on(self, pool: Pool, job: Job) -> Run:
        run = _run(job)
        run.deadline = pool.deadline_after(
            run.started_at, job.timeout, self._broker.settings.kill_grace
        )
        return run

    def _sweep(
        self, dead: Iterable[WorkerRecord], adopted: Collection[int | None]
    ) -> None:
        """Remove dead workers' records, and results that were recorded before."""
        for record in dead:
            records.remove(records.file_of(self._records, record.worker))
        records.remove_empty(self._records)
        for lease in spool.leases(self._spool):
            if lease not in adopted:
                spool.remove(self._spool, lease)


def _run(job: Job) -> Run:
    assert job.lease is not None
    assert job.started_at is not None
    run = Run(job.seq, job.runs, job.lease, job.id, job.started_at)
    if job.cancel_requested:
        run.verdict = Reason.CANCELLED
    return run


def _as_meant(told: AttemptEnd, run: Run) -> AttemptEnd:
    """An adopted worker hears one signal only, and takes it for an interruption."""
    if told.reason is Reason.INTERRUPTED and run.verdict is Reason.CANCELLED:
        return replace(told, reason=Reason.CANCELLED)
    return told


def _leader(run: Run, record: WorkerRecord | None) -> ProcessId | None:
    """Return the job's main process, if the worker's record is of this very run."""
    if record is None or record.lease != run.lease:
        return None
    if record.job_pid is None or record.job_ticks is None:
        return None
    return ProcessId(record.job_pid, record.job_ticks)


def _open(record: WorkerRecord) -> int | None:
    """Return a pidfd of the recorded worker if that very process still lives."""
    if record.boot_id != procfs.boot_id():
        return None
    try:
        pidfd = os.pidfd_open(record.pid)
    except ProcessLookupError:
        return None
    # While the descriptor is held, the pid cannot be given to another process.
    if procfs.start_ticks(record.pid) == record.ticks and not _ended(pidfd):
        return pidfd
    os.close(pidfd)
    return None


def _ended(pidfd: int) -> bool:
    """Whether the process has ended, reaped or not."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))
