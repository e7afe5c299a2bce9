"""Brings jobs and workers together, and ends what takes too long.

One wait: ``run`` does what is due, learns the time of the next due thing, and waits
for that or for a wake-up. Nothing here looks at a clock to see whether something
happened.
"""

import asyncio
import math
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from queuectl_protocol.vocabulary import JobState, Reason
from queuectld.broker import Broker, Event, Outcome
from queuectld.clock import Clock
from queuectld.control.attempts import Attempts
from queuectld.control.housekeeping import Housekeeping
from queuectld.control.recovery import Recovery
from queuectld.control.supervisor import Supervisor
from queuectld.core.job import AttemptEnd, Job
from queuectld.host import logs
from queuectld.store.api import Store, StoreError
from queuectld.workers.daemon_side.handle import WorkerHandle
from queuectld.workers.daemon_side.pool import OVERDUE, Pool
from queuectld.workers.daemon_side.worker_config import WorkerConfig

_events = logs.get("scheduler")

LONGEST_WAIT = 60.0
"""Seconds: while a job waits for its time, look at the wall clock at least this often,
since suspend and clock steps move it against the monotonic one."""

STORE_RETRY = 1.0
"""Seconds until the next try when the store refused (a full disk, usually)."""

EXPIRE_AFTER = 3600.0
CHECKPOINT_AFTER = 5.0
"""Seconds after a write. Both timers are armed by writes only."""

DRAIN_SPARE = 5.0
"""Seconds beyond the graces after which a drain gives up on what is stuck."""


@dataclass(slots=True)
class Timer:
    """A moment, on the monotonic clock, at which something is due."""

    at: float | None = None

    def arm(self, at: float) -> None:
        """Be due at that time, or at an earlier one that was set before."""
        if self.at is None or at < self.at:
            self.at = at

    def due(self, now: float) -> bool:
        """Whether the time has come; then the timer is disarmed."""
        if self.at is None or now < self.at:
            return False
        self.at = None
        return True


class Scheduler:
    """The supervisor: listens to workers and to the broker, and decides what is next.

    Attributes:
        supervisor: how many workers there should be.
        housekeeping: pruning, on request and by itself.
    """

    def __init__(
        self, broker: Broker, store: Store, config: WorkerConfig, clock: Clock
    ) -> None:
        self._broker = broker
        self._store = store
        self._clock = clock
        self.pool = Pool(config, clock, self)
        self.supervisor = Supervisor(broker, self.pool, clock)
        self.supervisor.wake = self.wake
        self.housekeeping = Housekeeping(broker, config.output_dir, clock)
        self._recovery = Recovery(broker, self.pool, config, clock)
        self._attempts = Attempts(
            broker, self.pool, self.supervisor, self._recovery, clock
        )
        self._attempts.wake = self.wake
        self._attempts.wake_by = self.wake_by
        self._awake = asyncio.Event()
        self._waits_until = math.inf  # or does not wait
        self._chores: set[asyncio.Task[None]] = set()
        self._hurry = asyncio.Event()
        self._ready = True  # there may be a job to claim
        self._next_run_at: int | None = 0  # unknown: ask
        self._store_retry = Timer()
        self._expire = Timer()
        self._checkpoint = Timer()
        broker.on_waiting = self._job_waits
        broker.on_write = self._written
        broker.on_doubt = self._in_doubt

    # -- life ---------------------------------------------------------------------

    async def open(self) -> None:
        """Settle what the last daemon left, before anything new is promised."""
        for unsettled in await self._recovery.adopt():
            self._attempts.settle(unsettled)
        await self.supervisor.open()
        self._expire.arm(self._clock.monotonic() + EXPIRE_AFTER)

    async def run(self) -> None:
        """Do what is due, wait, and so on, until cancelled."""
        while True:
            self._awake.clear()
            await self._wait(await self._tick())

    async def drain(self, grace: float) -> None:
        """End: claim nothing more, let jobs finish for ``grace`` seconds, interrupt.

        Bounded: what cannot be ended or recorded in time is left to the next daemon.
        """
        self.supervisor.drain()
        patience = grace + self._broker.settings.kill_grace + DRAIN_SPARE
        retiring = asyncio.create_task(self._retire(grace))
        hurrying = asyncio.create_task(self._hurry.wait())
        await asyncio.wait(
            [retiring, hurrying], timeout=patience, return_when="FIRST_COMPLETED"
        )
        await asyncio.wait([retiring], timeout=DRAIN_SPARE if hurrying.done() else 0)
        hurrying.cancel()
        if retiring.done():
            retiring.result()
            return
        retiring.cancel()
        _events.warning("drain_gave_up", workers=len(self.pool.workers))

    async def _retire(self, grace: float) -> None:
        await self.supervisor.retire(
            await self.supervisor.present(), interrupt_after=grace
        )

    def end_now(self) -> None:
        """Kill what still runs; each run counts as interrupted."""
        for worker in self.pool:
            self.pool.end_attempt(worker, Reason.INTERRUPTED, 0)
        self._hurry.set()
        self.wake()

    async def close(self) -> None:
        """Leave the workers that are left to finish by themselves."""
        self.supervisor.drain()
        self.pool.leave()
        for chore in self._chores:
            chore.cancel()
        await self._attempts.close()

    @property
    def unstored(self) -> int:
        """How many results the store has refused so far; they are tried again."""
        return len(self._attempts.unstored)

    @property
    def draining(self) -> bool:
        """Whether nothing is claimed any more because the daemon is ending."""
        return self.supervisor.draining

    def wake(self) -> None:
        """Something may be due: look."""
        self._awake.set()

    def wake_by(self, at: float) -> None:
        """Something is due at that time: look then, if not before."""
        # Most runs end long before their deadline, and between two writes there is
        # always something that is due sooner.
        if at < self._waits_until:
            self.wake()

    # -- requests -----------------------------------------------------------------

    async def cancel(
        self,
        ids: Sequence[str],
        if_state: JobState | None = None,
        *,
        submitter: int | None = None,
    ) -> list[Outcome]:
        """Cancel jobs, and begin to end the processes of those that run.

        Takes and returns as ``Broker.change``; ``Broker.end_of`` waits.
        """
        outcomes = await self._broker.change(
            Event.CANCEL, ids, if_state, submitter=submitter
        )
        self._end_runs({job.lease for job in outcomes if isinstance(job, Job)})
        return outcomes

    def _end_runs(self, leases: set[int | None]) -> None:
        grace = self._broker.settings.kill_grace
        for worker in self.pool:
            if worker.attempt is not None and worker.attempt.lease in leases:
                self.pool.end_attempt(worker, Reason.CANCELLED, grace)
                self.wake()

    # -- what workers tell --------------------------------------------------------

    def worker_ready(self, worker: WorkerHandle) -> None:
        """It can take jobs."""
        _events.debug("worker_ready", worker=worker.number)
        self.supervisor.ready()
        self.wake()

    def attempt_finished(self, worker: WorkerHandle, end: AttemptEnd) -> None:
        """Record it, and claim the next job for the same worker in the same commit."""
        self._attempts.finished(worker, end)

    def worker_gone(self, worker: WorkerHandle) -> None:
        """Settle what it left, then replace it."""
        self.supervisor.gone(worker)
        self._attempts.gone(worker)
        self.wake()

    # -- the tick -----------------------------------------------------------------

    async def _tick(self) -> float | None:
        """Do what is due; return the monotonic time of the next due thing."""
        now = self._clock.monotonic()
        respawn = None
        if self._store_retry.at is None or self._store_retry.due(now):
            try:
                if self._attempts.in_doubt:
                    await self._attempts.reconcile()
                respawn = await self.supervisor.fill()
                await self._promote()
                await self._claim_reserved()
                await self._claim()
            except StoreError as error:
                _events.error("scheduler_waits", error=str(error))
                self._store_retry.arm(now + STORE_RETRY)
        self._kill_overdue(now)
        self._kill_lingering(now)
        self._keep_house(now)
        # While the store refuses, a due job is no reason to look again at once.
        due = self._wall_wait() if self._store_retry.at is None else None
        times = (respawn, due, *self._timers())
        return min((at for at in times if at is not None), default=None)

    async def _promote(self) -> None:
        """Make due jobs ready, a bounded number a tick."""
        if self._next_run_at is None or self._next_run_at > self._clock.wall():
            return
        before, self._next_run_at = self._next_run_at, None
        try:
            earliest = await self._broker.promote()
        except StoreError:
            self._next_run_at = before
            raise
        self._ready = True
        if earliest is not None:
            self._job_waits(earliest)

    async def _claim_reserved(self) -> None:
        """Have workers that are there for one job take it, or go."""
        for worker in self._attempts.reserved():
            if not await self._attempts.claim_own(worker):
                self.supervisor.dismiss(worker)

    async def _claim(self) -> None:
        idle = self._attempts.idle()
        if not (idle and self._ready):
            return
        self._ready = False
        try:
            claimed = await self._attempts.claim(idle)
        except StoreError:
            self._ready = True
            raise
        if claimed == len(idle):
            self._ready = True

    def _kill_overdue(self, now: float) -> None:
        for worker in self.pool:
            run = worker.attempt
            if run is None or run.reported or run.deadline is None:
                continue
            if run.deadline <= now:
                run.end_reason = run.end_reason or Reason.TIMEOUT
                run.deadline = None
                self.pool.kill(worker)

    def _kill_lingering(self, now: float) -> None:
        """A worker that has nothing to do but to end, and does not, is stuck as well.

        Whoever stops workers, or the daemon, would wait for it without end.
        """
        for worker in self.pool:
            if not worker.leaving:
                continue
            if worker.leave_by is None:
                worker.leave_by = now + OVERDUE
            elif worker.leave_by <= now:
                worker.leave_by = math.inf
                self.pool.kill(worker)

    def _keep_house(self, now: float) -> None:
        if self._expire.due(now):
            self._chore(self.housekeeping.expire())
        if self._checkpoint.due(now):
            self._chore(self._store.checkpoint())

    def _timers(self) -> list[float | None]:
        runs = (
            w.attempt
            for w in self.pool
            if w.attempt is not None and not w.attempt.reported
        )
        deadlines = [run.deadline for run in runs]
        deadlines += [w.leave_by for w in self.pool if w.leaving]
        return [
            self._store_retry.at, self._expire.at, self._checkpoint.at, *deadlines
        ]  # fmt: skip

    def _wall_wait(self) -> float | None:
        if self._next_run_at is None:
            return None
        seconds = (self._next_run_at - self._clock.wall()) / 1000
        return self._clock.monotonic() + min(max(0.0, seconds), LONGEST_WAIT)

    async def _wait(self, until: float | None) -> None:
        timeout = None if until is None else max(0.0, until - self._clock.monotonic())
        try:
            async with asyncio.timeout(timeout):
                self._waits_until = math.inf if until is None else until
                await self._awake.wait()
        except TimeoutError:
            return
        finally:
            self._waits_until = math.inf

    def _job_waits(self, run_at: int | None) -> None:
        """A committed job waits: for a worker (None), or for its time first."""
        if run_at is None:
            self._ready = True
            if not self._attempts.idle():
                return  # whoever becomes idle looks by itself
        elif self._next_run_at is None or run_at < self._next_run_at:
            self._next_run_at = run_at
        else:
            return
        self.wake()

    def _in_doubt(self) -> None:
        """Nobody knows what was committed: perhaps a job waits, now or for its time."""
        self._ready = True
        self._next_run_at = 0
        self.wake()

    def _written(self) -> None:
        now = self._clock.monotonic()
        self._expire.arm(now + EXPIRE_AFTER)
        if self._checkpoint.at is None:
            self.wake()  # to wait for it
        # The last write of a burst counts: during one, SQLite checkpoints by itself.
        self._checkpoint.at = now + CHECKPOINT_AFTER

    def _chore(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.get_running_loop().create_task(self._guarded(work))
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)

    async def _guarded(self, work: Coroutine[Any, Any, Any]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001 - the next turn tries again
            _events.exception("housekeeping_failed", error)
