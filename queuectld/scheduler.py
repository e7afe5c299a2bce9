"""Brings jobs and workers together, and ends what takes too long.

One wait: ``run`` does what is due, learns the time of the next due thing, and waits
for that or for a wake-up. Nothing here looks at a clock to see whether something
happened.
"""

import asyncio
import math
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from queuectl_protocol.vocabulary import FINAL_STATES, JobState, Reason
from queuectld import logs
from queuectld.broker import Broker, Finished
from queuectld.clock import Clock
from queuectld.core.job import Assignment, AttemptEnd, Job
from queuectld.housekeeping import Housekeeping
from queuectld.recovery import Recovery
from queuectld.staffing import Staff
from queuectld.store.api import Store, StoreError
from queuectld.workers.handle import Worker
from queuectld.workers.pool import OVERDUE, Places, Pool

_events = logs.get("scheduler")

LONGEST_WAIT = 60.0
"""Seconds: while a job waits for its time, look at the wall clock at least this often,
since suspend and clock steps move it against the monotonic one."""

STORE_RETRY = 1.0
"""Seconds until the next try when the store refused (a full disk, usually)."""

EXPIRE_AFTER = 3600.0
CHECKPOINT_AFTER = 30.0
"""Seconds after a write. Both timers are armed by writes only."""


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
        staff: how many workers there should be.
        housekeeping: pruning, on request and by itself.
    """

    def __init__(
        self, broker: Broker, store: Store, places: Places, clock: Clock
    ) -> None:
        self._broker = broker
        self._store = store
        self._clock = clock
        self.pool = Pool(places, clock, self)
        self.staff = Staff(broker, self.pool, clock)
        self.staff.wake = self.wake
        self.housekeeping = Housekeeping(broker, str(places.output), clock)
        self._recovery = Recovery(broker, places, clock)
        self._awake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ready = True  # there may be a job to claim
        self._next_run_at: int | None = 0  # unknown: ask
        self._store_retry = Timer()
        self._expire = Timer()
        self._checkpoint = Timer()
        broker.on_waiting = self._job_waits

    # -- life ---------------------------------------------------------------------

    async def open(self) -> None:
        """Settle what the last daemon left, before anything new is promised."""
        await self._recovery.adopt_or_settle(self.pool)
        await self.staff.open()
        self._expire.arm(self._clock.monotonic() + EXPIRE_AFTER)

    async def run(self) -> None:
        """Do what is due, wait, and so on, until cancelled."""
        while True:
            self._awake.clear()
            await self._wait(await self._tick())

    async def drain(self, grace: float) -> None:
        """End: claim nothing more, let jobs finish for ``grace`` seconds, interrupt."""
        self.staff.drain()
        await self.staff.retire(await self.staff.present(), interrupt_after=grace)

    def end_now(self) -> None:
        """Kill what still runs; each run counts as interrupted."""
        for worker in self.pool:
            self.pool.end_run(worker, Reason.INTERRUPTED, 0)
        self.wake()

    async def close(self) -> None:
        """Leave the workers that are left to finish by themselves."""
        self.staff.drain()
        self.pool.leave()
        if self._tasks:
            await asyncio.wait(self._tasks)

    @property
    def draining(self) -> bool:
        """Whether nothing is claimed any more because the daemon is ending."""
        return self.staff.draining

    def wake(self) -> None:
        """Something may be due: look."""
        self._awake.set()

    # -- requests -----------------------------------------------------------------

    async def cancel(
        self,
        job_id: str,
        if_state: JobState | None = None,
        *,
        submitter: int | None = None,
        wait: bool = True,
    ) -> Job:
        """Cancel a job; with ``wait``, return when its processes are gone.

        Otherwise takes and raises as ``Broker.cancel``.
        """
        job = await self._broker.cancel(job_id, if_state, submitter)
        if job.state is not JobState.PROCESSING:
            return job
        self._end_cancelled(job)
        if not wait:
            return job
        with self._broker.watch(job.seq) as changed:
            while job.lease is not None:
                changed.clear()
                job = (await self._broker.view(job_id)).job
                if job.state in FINAL_STATES:
                    break
                await changed.wait()
        return job

    def _end_cancelled(self, job: Job) -> None:
        for worker in self.pool:
            if worker.run is not None and worker.run.lease == job.lease:
                grace = self._broker.settings.kill_grace
                self.pool.end_run(worker, Reason.CANCELLED, grace)
                self.wake()

    # -- what workers tell --------------------------------------------------------

    def worker_ready(self, worker: Worker) -> None:
        """It can take jobs."""
        _events.debug("worker_ready", worker=worker.number)
        self.staff.ready()
        self.wake()

    def attempt_finished(self, worker: Worker, end: AttemptEnd) -> None:
        """Record it, and claim the next job for the same worker in the same commit."""
        run = worker.run
        if run is None or run.lease != end.lease or run.reported:
            _events.warning("result_refused", worker=worker.number, lease=end.lease)
            return
        run.reported = True
        if end.reason is Reason.INTERRUPTED and run.verdict is None:
            # Nobody here asked for that: somebody sent SIGTERM, and the worker leaves.
            worker.stopping = True
        self._spawn(self._finish(worker, run.seq, end))

    def worker_gone(self, worker: Worker) -> None:
        """Settle what it left, then replace it."""
        self.staff.gone(worker)
        self._spawn(self._bury(worker))
        self.wake()

    async def _finish(self, worker: Worker, seq: int, end: AttemptEnd) -> None:
        finished = await self._until_stored(worker, seq, end)
        if finished.job is None:
            _events.warning("result_refused", worker=worker.number, lease=end.lease)
        worker.run = None
        if worker.number not in self.pool.workers:
            await self._recovery.forget(end.lease)
        if finished.next is not None:
            await self._assign(worker, finished.next)
        else:
            self.pool.ack(worker, end.lease)
            self.wake()

    async def _until_stored(
        self, worker: Worker, seq: int, end: AttemptEnd
    ) -> Finished:
        """Record an end, however long the store refuses: a result is never dropped."""
        while True:
            claims = not (worker.stopping or self.draining)
            try:
                return await self._broker.finish(
                    seq, end, next_for=worker.number if claims else None
                )
            except StoreError as error:
                _events.error("result_not_stored", lease=end.lease, error=str(error))
                await asyncio.sleep(STORE_RETRY)

    async def _assign(self, worker: Worker, assignment: Assignment) -> None:
        if worker.number in self.pool.workers and not worker.adopted:
            self.pool.assign(worker, assignment, self._broker.settings.kill_grace)
            self.wake()
            return
        # The worker died between the claim and now: the attempt never started.
        never = AttemptEnd(
            assignment.lease,
            None,
            self._clock.wall(),
            Reason.INTERRUPTED,
            message="the worker ended before it started the command",
        )
        await self._until_stored(worker, assignment.job.seq, never)

    async def _bury(self, worker: Worker) -> None:
        while True:
            try:
                await self._recovery.bury(worker)
                break
            except StoreError as error:
                _events.error(
                    "worker_not_settled", worker=worker.number, error=str(error)
                )
                await asyncio.sleep(STORE_RETRY)
        worker.gone.set()
        self.wake()

    # -- the tick -----------------------------------------------------------------

    async def _tick(self) -> float | None:
        """Do what is due; return the monotonic time of the next due thing."""
        now = self._clock.monotonic()
        respawn = None
        if self._store_retry.at is None or self._store_retry.due(now):
            try:
                respawn = await self.staff.fill()
                await self._promote()
                await self._claim()
            except StoreError as error:
                _events.error("scheduler_waits", error=str(error))
                self._store_retry.arm(now + STORE_RETRY)
        self._kill_overdue(now)
        self._kill_lingering(now)
        self._keep_house(now)
        times = (respawn, self._wall_wait(), *self._timers())
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

    async def _claim(self) -> None:
        idle = [worker for worker in self.pool if worker.idle]
        if not (idle and self._ready) or self.draining:
            return
        self._ready = False
        for worker in idle:
            worker.reserved = True
        try:
            claimed = await self._broker.claim([worker.number for worker in idle])
        except StoreError:
            self._ready = True
            raise
        finally:
            for worker in idle:
                worker.reserved = False
        if len(claimed) == len(idle):
            self._ready = True
        for worker, assignment in zip(idle, claimed, strict=False):
            await self._assign(worker, assignment)

    def _kill_overdue(self, now: float) -> None:
        for worker in self.pool:
            run = worker.run
            if run is None or run.reported or run.deadline is None:
                continue
            if run.deadline <= now:
                run.verdict = run.verdict or Reason.TIMEOUT
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
            self._spawn(self._guarded(self.housekeeping.expire()))
        if self._checkpoint.due(now):
            self._spawn(self._guarded(self._store.checkpoint()))

    def _timers(self) -> list[float | None]:
        runs = (w.run for w in self.pool if w.run is not None and not w.run.reported)
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
                await self._awake.wait()
        except TimeoutError:
            return

    def _job_waits(self, run_at: int | None) -> None:
        """A committed job waits: for a worker (None), or for its time first."""
        self._arm_timers()
        if run_at is None:
            self._ready = True
        elif self._next_run_at is None or run_at < self._next_run_at:
            self._next_run_at = run_at
        else:
            return
        self.wake()

    def _arm_timers(self) -> None:
        now = self._clock.monotonic()
        self._expire.arm(now + EXPIRE_AFTER)
        self._checkpoint.arm(now + CHECKPOINT_AFTER)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _events.exception("task_failed", error)

    async def _guarded(self, work: Coroutine[Any, Any, Any]) -> None:
        try:
            await work
        except StoreError as error:
            _events.error("housekeeping_failed", error=str(error))
