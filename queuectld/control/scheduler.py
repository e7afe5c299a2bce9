"""Gives jobs to workers, and kills workers that take too long.

One wait: ``run`` does what is due, learns the time of the next due thing, and waits
until then or for a wake-up. Nothing is polled.
"""

import math

from queuectl_protocol.vocabulary import Reason
from queuectld.broker import Broker
from queuectld.clock import Clock
from queuectld.control.agenda import Agenda, Timer
from queuectld.control.attempts import Attempts
from queuectld.control.desired import DesiredWorkers
from queuectld.control.housekeeping import Housekeeping
from queuectld.control.starting import WorkerStarter
from queuectld.control.supervisor import Supervisor
from queuectld.control.wakeup import WakeUp
from queuectld.core.job import AttemptEnd
from queuectld.host import logs
from queuectld.store.api import StoreError
from queuectld.workers.daemon_side.handle import WorkerHandle
from queuectld.workers.daemon_side.pool import OVERDUE, Pool

_events = logs.get("scheduler")

LONGEST_WAIT = 60.0
"""Seconds: while a job waits for its time, the wall clock is read at least this often,
because suspend and clock steps move it against the monotonic one."""

STORE_RETRY = 1.0
"""Seconds until the next try when the store refused (a full disk, usually)."""


class Scheduler:
    """Listens to the workers, and does what is due."""

    def __init__(
        self,
        *,
        broker: Broker,
        pool: Pool,
        desired: DesiredWorkers,
        starter: WorkerStarter,
        supervisor: Supervisor,
        attempts: Attempts,
        housekeeping: Housekeeping,
        agenda: Agenda,
        wakeup: WakeUp,
        clock: Clock,
    ) -> None:
        self._broker = broker
        self._pool = pool
        self._desired = desired
        self._starter = starter
        self._supervisor = supervisor
        self._attempts = attempts
        self._housekeeping = housekeeping
        self._agenda = agenda
        self._wakeup = wakeup
        self._clock = clock
        self._store_retry = Timer()
        pool.report_to(self)

    # -- life ---------------------------------------------------------------------

    async def run(self) -> None:
        """Do what is due, wait, and so on, until cancelled."""
        while True:
            await self._wakeup.wait(await self._tick())

    async def close(self) -> None:
        """Let the remaining workers finish without the daemon; stop everything else."""
        self._desired.drain()
        self._pool.leave()
        self._housekeeping.close()
        await self._attempts.close()

    # -- what workers report ------------------------------------------------------

    def worker_ready(self, worker: WorkerHandle) -> None:
        """It can take jobs."""
        _events.debug("worker_ready", worker=worker.number)
        self._starter.ready()
        self._wakeup.wake()

    def attempt_finished(self, worker: WorkerHandle, end: AttemptEnd) -> None:
        """Record it, and claim the next job for the same worker in the same commit."""
        self._attempts.finished(worker, end)

    def worker_gone(self, worker: WorkerHandle) -> None:
        """Settle its attempt, then replace it."""
        self._starter.gone(worker)
        self._attempts.gone(worker)
        self._wakeup.wake()

    # -- the tick -----------------------------------------------------------------

    async def _tick(self) -> float | None:
        """Do what is due; return the monotonic time of the next due thing."""
        now = self._clock.monotonic()
        due = [
            *await self._use_store(now),
            self._kill_overdue(now),
            self._kill_lingering(now),
            self._housekeeping.begin_due(now),
        ]
        return min((at for at in due if at is not None), default=None)

    async def _use_store(self, now: float) -> list[float | None]:
        """Do what is due and needs the store; return when to do the next of it."""
        if self._store_retry.at is not None and not self._store_retry.due(now):
            return [self._store_retry.at]
        respawn = None
        try:
            if self._attempts.in_doubt:
                await self._attempts.reconcile()
            respawn = await self._starter.fill()
            await self._promote()
            await self._claim_reserved()
            await self._claim()
        except StoreError as error:
            _events.error("scheduler_waits", error=str(error))
            self._store_retry.arm(now + STORE_RETRY)
            # While the store refuses, a due job is no reason to look again at once.
            return [respawn, self._store_retry.at]
        return [respawn, self._next_promotion()]

    async def _promote(self) -> None:
        """Make due jobs ready and cancel expired ones, a bounded number a tick."""
        agenda = self._agenda
        if agenda.next_run_at is None or agenda.next_run_at > self._clock.wall():
            return
        before, agenda.next_run_at = agenda.next_run_at, None
        try:
            earliest = await self._broker.promote()
        except StoreError:
            agenda.next_run_at = before
            raise
        agenda.ready = True
        if earliest is not None:
            agenda.job_waits(earliest)

    def _next_promotion(self) -> float | None:
        if self._agenda.next_run_at is None:
            return None
        seconds = (self._agenda.next_run_at - self._clock.wall()) / 1000
        return self._clock.monotonic() + min(max(0.0, seconds), LONGEST_WAIT)

    async def _claim_reserved(self) -> None:
        """Give reserved workers their one job; stop those whose job is not ready."""
        for worker in self._attempts.reserved():
            if not await self._attempts.claim_own(worker):
                self._supervisor.dismiss(worker)

    async def _claim(self) -> None:
        """Claim a ready job for each idle worker."""
        agenda = self._agenda
        idle = self._attempts.idle()
        if not (idle and agenda.ready):
            agenda.workers_wait = bool(idle)
            return
        agenda.ready = agenda.workers_wait = False
        try:
            claimed = await self._attempts.claim(idle)
        except StoreError:
            agenda.ready = True
            raise
        agenda.workers_wait = claimed < len(idle)
        if not agenda.workers_wait:
            agenda.ready = True

    def _kill_overdue(self, now: float) -> float | None:
        """Kill workers whose attempt is past its deadline; return the next deadline."""
        upcoming = []
        for worker in self._pool:
            attempt = worker.attempt
            if attempt is None or attempt.reported or attempt.deadline is None:
                continue
            if attempt.deadline <= now:
                attempt.end_reason = attempt.end_reason or Reason.TIMEOUT
                attempt.deadline = None
                self._pool.kill(worker)
            else:
                upcoming.append(attempt.deadline)
        return min(upcoming, default=None)

    def _kill_lingering(self, now: float) -> float | None:
        """Kill workers that have nothing left to do and do not end.

        A request to stop workers, or the daemon, would wait for them for ever. Return
        the time by which the next one must have ended.
        """
        upcoming = []
        for worker in self._pool:
            if not worker.leaving:
                continue
            if worker.leave_by is None:
                worker.leave_by = now + OVERDUE
            elif worker.leave_by <= now:
                worker.leave_by = math.inf  # killed once
                self._pool.kill(worker)
            upcoming.append(worker.leave_by)
        return min(upcoming, default=None)
