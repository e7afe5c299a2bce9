"""Settles attempts whose worker died: finds their end, ends what is left, records it.

The order matters: a worker is *seen dead* before its spool file is read, what is left
of its job is ended before the job can be queued again, and a spool file is removed only
after its result is committed.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from queuectl_protocol.units import format_time
from queuectl_protocol.vocabulary import Reason
from queuectld.broker import Broker
from queuectld.clock import Clock
from queuectld.control.left_results import LeftResults
from queuectld.control.untracked_runs import leader
from queuectld.core.job import AttemptEnd, Job
from queuectld.host import logs
from queuectld.host.thread_pool import ThreadPool
from queuectld.linux import procfs
from queuectld.workers.daemon_side import leftovers
from queuectld.workers.daemon_side.handle import (
    RunningAttempt,
    WorkerHandle,
    attempt_of,
)
from queuectld.workers.daemon_side.leftovers import KILL_WITHIN, Traces
from queuectld.workers.daemon_side.pool import Pool
from queuectld.workers.daemon_side.worker_config import WorkerConfig
from queuectld.workers.shared import cgroup, outputs
from queuectld.workers.shared.records import WorkerRecord

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
        record: what the worker wrote about itself, if it is there.
        copied_at: the store is a copy, made at this time (milliseconds), while the
            attempt ran, and nothing later is known about it; None: this is not so.
    """

    attempt: RunningAttempt
    record: WorkerRecord | None = None
    copied_at: int | None = None


class Recovery:
    """Ends and records the attempts of dead workers."""

    def __init__(
        self,
        broker: Broker,
        pool: Pool,
        results: LeftResults,
        config: WorkerConfig,
        clock: Clock,
    ) -> None:
        self._broker = broker
        self._pool = pool
        self._results = results
        self._config = config
        self._clock = clock
        self._threads = ThreadPool("recovery", _AT_ONCE, ready=True)

    async def settle_dead_worker(self, worker: WorkerHandle) -> None:
        """A worker is gone: settle the attempt it had, and remove its record."""
        record = await self._results.record_of(worker.number)
        attempt = worker.attempt
        lease = None if record is None else record.lease
        if lease is not None and (attempt is None or attempt.lease != lease):
            # It may have spooled a result that was committed before it heard of that.
            await self._results.forget(lease)
        attempt = worker.attempt  # it may have been recorded meanwhile
        if attempt is not None and attempt.reported:
            self._results.hold_record(worker.number, attempt.lease)
            return
        if attempt is not None:
            await self.settle(Unsettled(attempt, record))
        await self._results.remove_record(worker.number)

    async def settle(self, unsettled: Unsettled) -> None:
        """Record the end of an attempt whose worker is dead."""
        attempt = unsettled.attempt
        end = await self._threads.run(self._end_of, unsettled)
        await self._broker.finish(attempt.seq, end, asked=attempt.asked)
        await self._results.clear(attempt)
        _events.info("attempt_settled", **attempt.about(), reason=end.reason)

    async def kill_untracked(self, found: Iterable[Traces]) -> None:
        """Kill runs that the store does not know, as they are found."""
        await self._threads.run(self._kill_untracked, found)

    def _kill_untracked(self, found: Iterable[Traces]) -> None:
        for traces in found:
            self._kill_leftovers(traces, lease=traces.lease)

    def _end_of(self, unsettled: Unsettled) -> AttemptEnd:
        """Return how an attempt ended; when this returns, nothing of it runs."""
        attempt = unsettled.attempt
        end = self._results.read(attempt)
        if end is not None:
            return _corrected(end, attempt)
        if self._config.cgroup is not None:
            cgroup.end(group_of(self._config, attempt), within=KILL_WITHIN)
        # Processes may have left the cgroup.
        traces = self._traces(unsettled)
        self._kill_leftovers(traces, job_id=attempt.job_id, lease=attempt.lease)
        return self._lost(attempt, unsettled.copied_at)

    def _lost(self, attempt: RunningAttempt, copied_at: int | None) -> AttemptEnd:
        """Return the end of an attempt whose worker reported none."""
        never = never_started(attempt.lease, self._clock.wall())
        sizes = outputs.sizes(
            self._config.output_dir, attempt.seq, attempt.run, attempt.lease
        )
        if sizes is None and copied_at is None and not self._before_boot(attempt):
            return never
        stdout, stderr = sizes or (None, None)
        reason = attempt.end_reason or Reason.LOST
        message = _MESSAGES.get(reason)
        if copied_at is not None and reason is Reason.LOST:
            message = _COPIED.format(format_time(copied_at))
        return never._replace(
            started_at=attempt.started_at,
            finished_at=copied_at or never.finished_at,
            reason=reason,
            message=message,
            stdout_bytes=stdout,
            stderr_bytes=stderr,
        )

    def _before_boot(self, attempt: RunningAttempt) -> bool:
        """Whether it began before the machine was started.

        The output files, which show that it began, are not synced: a power cut may have
        taken them. A job that brings the machine down must not be repeated for ever.
        """
        return attempt.started_at < self._clock.wall() - procfs.uptime_ms()

    def _traces(self, unsettled: Unsettled) -> Traces:
        attempt, record = unsettled.attempt, unsettled.record
        lease = attempt.lease
        output = self._config.output_dir
        return Traces(
            store=self._config.store_id,
            lease=lease,
            leader=leader(lease, record),
            outputs=outputs.paths(output, attempt.seq, attempt.run, lease),
            orphans=self._pool.orphans,
        )

    def _kill_leftovers(self, traces: Traces, **whose: int | str) -> None:
        found = leftovers.kill_leftovers(traces, within=KILL_WITHIN, clock=self._clock)
        if found.ended:
            pids = [process.pid for process in found.ended]
            _events.warning("leftovers_killed", **whose, pids=pids)
        if found.left:
            pids = [process.pid for process in found.left]
            _events.error("leftovers_alive", **whose, pids=pids)


def attempt_under_way(job: Job) -> RunningAttempt:
    """Return the attempt of a job in ``processing``, as the store knows it."""
    assert job.worker is not None
    attempt = attempt_of(job.worker, job)
    if job.cancel_requested:
        attempt.end_reason = Reason.CANCELLED
    return attempt


def group_of(config: WorkerConfig, attempt: RunningAttempt) -> str:
    """Return the path of an attempt's cgroup; there must be a delegated one."""
    assert config.cgroup is not None
    return cgroup.path(
        config.cgroup, config.store_id, attempt.seq, attempt.run, attempt.lease
    )


def never_started(lease: int, at: int) -> AttemptEnd:
    """Return the end of an attempt whose worker was gone before it began."""
    return AttemptEnd(
        lease=lease,
        started_at=None,
        finished_at=at,
        reason=Reason.INTERRUPTED,
        message="the worker ended before it started the command",
    )


def _corrected(end: AttemptEnd, attempt: RunningAttempt) -> AttemptEnd:
    """Return the end with the reason that only the daemon knows.

    An adopted worker is told to end by a signal, and takes it for an interruption.
    """
    if end.reason is Reason.INTERRUPTED and attempt.end_reason is Reason.CANCELLED:
        return end._replace(reason=Reason.CANCELLED)
    return end
