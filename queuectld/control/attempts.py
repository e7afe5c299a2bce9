"""Sees every attempt from its claim to its recorded end.

A result is never dropped: it is recorded, however long the store refuses, or left in
the spool for the next daemon. A claim that no worker can take goes back uncounted. A
claim of which the store cannot say whether it was committed is looked for.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from queuectl_protocol.vocabulary import JobState, Reason
from queuectld.broker import Broker
from queuectld.clock import Clock
from queuectld.control.desired import DesiredWorkers
from queuectld.control.recovery import Recovery, Unsettled, never_started
from queuectld.control.wakeup import WakeUp
from queuectld.core.event import Event
from queuectld.core.job import Assignment, AttemptEnd, Job
from queuectld.host import logs
from queuectld.operations import lookups
from queuectld.operations.change import Outcome
from queuectld.operations.finish import Finished
from queuectld.store.api import StoreError
from queuectld.workers.daemon_side.handle import (
    RunningAttempt,
    WorkerHandle,
    attempt_of,
)
from queuectld.workers.daemon_side.pool import Pool

RETRY = 1.0
"""Seconds until what could not be recorded or settled is tried again."""

CLOSE_WITHIN = 2.0
"""Seconds for what is being recorded when the daemon ends."""

_events = logs.get("attempts")


class Attempts:
    """The attempts that are under way.

    Attributes:
        in_doubt: a claim may be committed that nobody here knows of; none is made
            until ``reconcile`` has looked.
        unstored: leases of attempts whose end the store has refused so far; it is
            asked again.
    """

    def __init__(
        self,
        *,
        broker: Broker,
        pool: Pool,
        desired: DesiredWorkers,
        recovery: Recovery,
        wakeup: WakeUp,
        clock: Clock,
    ) -> None:
        self._broker = broker
        self._pool = pool
        self._desired = desired
        self._recovery = recovery
        self._wakeup = wakeup
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()
        self._claims = 0  # whose outcome is not known yet
        self._ending: set[int] = set()  # leases whose end is being recorded
        self.in_doubt = False
        self.unstored: set[int] = set()

    async def open(self) -> None:
        """Adopt the workers that live, and settle what the others left."""
        for unsettled in await self._recovery.adopt():
            self.settle(unsettled)

    # -- beginnings ---------------------------------------------------------------

    def idle(self) -> list[WorkerHandle]:
        """Return the workers that can take any job now."""
        return [worker for worker in self._idle() if worker.only_for is None]

    def reserved(self) -> list[WorkerHandle]:
        """Return the workers that can take the one job they are there for."""
        return [worker for worker in self._idle() if worker.only_for is not None]

    def _idle(self) -> list[WorkerHandle]:
        if self.in_doubt:
            return []
        return [w for w in self._pool if w.idle and self._fit(w)]

    async def claim(self, workers: Sequence[WorkerHandle]) -> int:
        """Claim a job for each of these, and start them; return how many there were.

        Raises:
            StoreError: perhaps none was claimed; see ``reconcile``.
        """
        numbers = [worker.number for worker in workers]
        return await self._claim(workers, self._broker.claim(numbers))

    async def claim_own(self, worker: WorkerHandle) -> bool:
        """Claim the job that this worker is there for; return whether it was ready.

        Raises:
            StoreError: as ``claim``.
        """
        assert worker.only_for is not None
        claiming = self._broker.claim_job(worker.only_for, worker.number)
        return bool(await self._claim([worker], claiming))

    async def _claim(
        self, workers: Sequence[WorkerHandle], claiming: Awaitable[list[Assignment]]
    ) -> int:
        for worker in workers:
            worker.claiming = True
        self._claims += 1
        try:
            claimed = await claiming
        except StoreError:
            self.in_doubt = True
            raise
        finally:
            self._claims -= 1
            for worker in workers:
                worker.claiming = False
        for worker, assignment in zip(workers, claimed, strict=False):
            self._assign(worker, assignment)
        return len(claimed)

    async def reconcile(self) -> None:
        """After a claim of unknown outcome: settle what is claimed and in no hands."""
        if self._claims:
            return  # its own outcome comes first, and wakes the scheduler
        running = await self._broker.read(lookups.running)
        held = {
            w.attempt.lease for w in self._pool if w.attempt is not None
        } | self._ending
        for job in running:
            if job.lease not in held:
                self.settle(self._recovery.unsettled(job))
        self.in_doubt = False

    def _fit(self, worker: WorkerHandle) -> bool:
        """Whether a job that is claimed for this worker can run there."""
        there = self._pool.workers.get(worker.number) is worker
        leaves = worker.stopping or worker.adopted or self._desired.draining
        return there and not leaves

    def _assign(self, worker: WorkerHandle, assignment: Assignment) -> None:
        if self._fit(worker):
            grace = self._broker.settings.kill_grace
            self._pool.assign(worker, assignment, grace)
            if worker.attempt is not None and worker.attempt.deadline is not None:
                self._wakeup.wake_by(worker.attempt.deadline)
        else:
            self._begin(assignment.lease, self._give_back(worker, assignment))

    async def _give_back(self, worker: WorkerHandle, assignment: Assignment) -> None:
        """The worker died or was stopped while the claim was committed."""
        never = never_started(assignment.lease, self._clock.wall())
        run = attempt_of(worker.number, assignment.job)
        run.end_reason = Reason.INTERRUPTED  # nothing of it ever went to a worker
        await self._record(run, never)

    # -- ends ---------------------------------------------------------------------

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
        leases = {job.lease for job in outcomes if isinstance(job, Job)}
        grace = self._broker.settings.kill_grace
        for worker in self._pool:
            if worker.attempt is not None and worker.attempt.lease in leases:
                self._pool.end_attempt(worker, Reason.CANCELLED, grace)
                self._wakeup.wake()
        return outcomes

    def finished(self, worker: WorkerHandle, end: AttemptEnd) -> None:
        """A worker reported an end: record it, and claim its next job with it."""
        run = worker.attempt
        if run is None or run.lease != end.lease or run.reported:
            _events.warning("result_refused", worker=worker.number, lease=end.lease)
            return
        run.reported = True
        if end.reason is Reason.INTERRUPTED and run.end_reason is None:
            # Nobody here asked for that: somebody sent SIGTERM, and the worker leaves.
            worker.stopping = True
        self._begin(run.lease, self._finish(worker, run, end))

    def gone(self, worker: WorkerHandle) -> None:
        """A worker's process has ended: settle what it left."""
        lease = None if worker.attempt is None else worker.attempt.lease
        self._begin(lease, self._settle_dead_worker(worker))

    def settle(self, unsettled: Unsettled) -> None:
        """Settle an attempt that no worker of this daemon has."""
        work = self._insist(
            lambda: self._recovery.settle(unsettled), **unsettled.run.about()
        )
        self._begin(unsettled.run.lease, work)

    async def close(self) -> None:
        """Record what can be recorded soon; leave the rest to the next daemon."""
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=CLOSE_WITHIN)
        for task in late:
            task.cancel()
        if late:
            _events.warning("attempts_left", count=len(late))
            await asyncio.wait(late)

    async def _finish(
        self, worker: WorkerHandle, run: RunningAttempt, end: AttemptEnd
    ) -> None:
        finished = await self._record(run, end, next_for=worker)
        if finished.job is None:
            _events.warning("result_refused", **run.about())
        worker.attempt = None
        if worker.number not in self._pool.workers:
            await self._recovery.forget(end.lease)
        if finished.next is None or not self._fit(worker):
            self._pool.ack(worker, end.lease)
        if finished.next is not None:
            self._assign(worker, finished.next)

    async def _record(
        self,
        run: RunningAttempt,
        end: AttemptEnd,
        *,
        next_for: WorkerHandle | None = None,
    ) -> Finished:
        try:
            while True:
                number = self._claims_next(next_for)
                try:
                    return await self._finish_and_claim(run, end, number)
                except StoreError as error:
                    problem = str(error)
                    self.unstored.add(end.lease)
                    _events.error("result_not_stored", **run.about(), error=problem)
                except Exception as error:  # noqa: BLE001 - a result is never dropped
                    _events.exception("result_not_stored", error, **run.about())
                await asyncio.sleep(RETRY)
        except asyncio.CancelledError:
            self._recovery.keep(run, end)
            raise
        finally:
            self.unstored.discard(end.lease)

    def _claims_next(self, worker: WorkerHandle | None) -> int | None:
        """Return the number of a worker that takes whatever comes next."""
        if worker is None or worker.only_for is not None or not self._fit(worker):
            return None
        return worker.number

    async def _finish_and_claim(
        self, run: RunningAttempt, end: AttemptEnd, number: int | None
    ) -> Finished:
        # Whoever ends the service may have signalled the workers, too.
        asked = run.asked or self._desired.draining
        finish = partial(self._broker.finish, run.seq, end, asked=asked)
        if number is None or self.in_doubt:
            return await finish()
        self._claims += 1
        try:
            return await finish(next_for=number)
        except StoreError:
            self.in_doubt = True
            raise
        finally:
            self._claims -= 1

    async def _settle_dead_worker(self, worker: WorkerHandle) -> None:
        whose = (
            {"worker": worker.number}
            if worker.attempt is None
            else worker.attempt.about()
        )
        await self._insist(lambda: self._recovery.settle_dead_worker(worker), **whose)
        worker.gone.set()

    async def _insist(
        self, work: Callable[[], Awaitable[None]], **whose: int | str
    ) -> None:
        """Do it, however often that fails: what is not settled stays processing."""
        while True:
            try:
                await work()
            except StoreError as error:
                _events.error("attempt_not_settled", **whose, error=str(error))
            except Exception as error:  # noqa: BLE001 - whatever it is, try again
                _events.exception("attempt_not_settled", error, **whose)
            else:
                return
            await asyncio.sleep(RETRY)

    def _begin(self, lease: int | None, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        if lease is not None:
            self._ending.add(lease)
        task.add_done_callback(lambda done: self._done(done, lease))

    def _done(self, task: asyncio.Task[None], lease: int | None) -> None:
        self._tasks.discard(task)
        if lease is not None:
            self._ending.discard(lease)
        if not task.cancelled() and (error := task.exception()) is not None:
            _events.exception("task_failed", error)
        if self.in_doubt or any(worker.attempt is None for worker in self._pool):
            self._wakeup.wake()  # else there is nobody to decide about
