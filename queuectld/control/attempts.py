"""Follows every attempt from its claim to its recorded end.

A result is never dropped: it is recorded, however long the store refuses, or left in
the spool for the next daemon. A claim that no worker can take goes back uncounted. If
the store cannot say whether a claim was committed, the claim is looked for.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from queuectl_protocol.vocabulary import JobState, Reason
from queuectld.broker import Broker
from queuectld.clock import Clock
from queuectld.control.desired import DesiredWorkers
from queuectld.control.left_results import LeftResults
from queuectld.control.recovery import (
    Recovery,
    Unsettled,
    attempt_under_way,
    never_started,
)
from queuectld.control.wakeup import WakeUp
from queuectld.core.event import Event
from queuectld.core.job import Assignment, AttemptEnd, Job
from queuectld.host import logs
from queuectld.operations import lookups
from queuectld.operations.change import Outcome
from queuectld.operations.finish import Recorded
from queuectld.store.api import StoreError
from queuectld.workers.daemon_side.handle import (
    RunningAttempt,
    WorkerHandle,
    attempt_of,
)
from queuectld.workers.daemon_side.pool import Pool

RETRY = 1.0
"""Seconds between two tries to record or to settle an attempt."""

CLOSE_WITHIN = 2.0
"""Seconds, at the end of the daemon, for the ends that are being recorded."""

_events = logs.get("attempts")


class Attempts:
    """The attempts that are under way.

    Attributes:
        in_doubt: a claim may be committed that is not known here; no other is made
            until ``reconcile`` has looked.
        unstored: leases of attempts whose end the store has refused so far. It is
            tried again.
    """

    def __init__(
        self,
        *,
        broker: Broker,
        pool: Pool,
        desired: DesiredWorkers,
        recovery: Recovery,
        results: LeftResults,
        wakeup: WakeUp,
        clock: Clock,
    ) -> None:
        self._broker = broker
        self._pool = pool
        self._desired = desired
        self._recovery = recovery
        self._results = results
        self._wakeup = wakeup
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()
        self._claims = 0  # whose outcome is not known yet
        self._ending: set[int] = set()  # leases whose end is being recorded
        self.in_doubt = False
        self.unstored: set[int] = set()

    # -- beginnings ---------------------------------------------------------------

    def idle(self) -> list[WorkerHandle]:
        """Return the workers that can take any job now."""
        return [worker for worker in self._idle() if worker.only_for is None]

    def reserved(self) -> list[WorkerHandle]:
        """Return the workers that can take the one job they are reserved for."""
        return [worker for worker in self._idle() if worker.only_for is not None]

    def _idle(self) -> list[WorkerHandle]:
        if self.in_doubt:
            return []
        return [w for w in self._pool if w.idle and self._fit(w)]

    async def claim(self, workers: Sequence[WorkerHandle]) -> int:
        """Claim a job for each of these workers, and start them; return how many.

        Raises:
            StoreError: jobs may have been claimed or not; see ``reconcile``.
        """
        numbers = [worker.number for worker in workers]
        return await self._claim(workers, self._broker.claim(numbers))

    async def claim_own(self, worker: WorkerHandle) -> bool:
        """Claim the job that this worker is reserved for; return if it was ready.

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
        """After a claim of unknown outcome: settle claimed jobs that no worker has."""
        if self._claims:
            return  # another claim is under way, and its outcome wakes the scheduler
        running = await self._broker.read(lookups.running)
        held = {w.attempt.lease for w in self._pool if w.attempt is not None}
        held |= self._ending
        for job in running:
            if job.lease not in held:
                self.settle(Unsettled(attempt_under_way(job)))
        self.in_doubt = False

    def _fit(self, worker: WorkerHandle) -> bool:
        """Whether a job that is claimed for this worker can run there."""
        if worker.stopping or worker.adopted or self._desired.draining:
            return False
        return self._pool.workers.get(worker.number) is worker

    def _assign(self, worker: WorkerHandle, assignment: Assignment) -> bool:
        """Give a claimed job to a worker; return whether it could take it."""
        if not self._fit(worker):
            self._begin(assignment.lease, self._give_back(worker, assignment))
            return False
        self._pool.assign(worker, assignment, self._broker.settings.kill_grace)
        if worker.attempt is not None and worker.attempt.deadline is not None:
            self._wakeup.wake_by(worker.attempt.deadline)
        return True

    async def _give_back(self, worker: WorkerHandle, assignment: Assignment) -> None:
        """Undo a claim: the worker died or was stopped while it was committed."""
        never = never_started(assignment.lease, self._clock.wall())
        attempt = attempt_of(worker.number, assignment.job)
        attempt.end_reason = Reason.INTERRUPTED  # no worker ever heard of it
        await self._record(attempt, never)

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
        attempt = worker.attempt
        if attempt is None or attempt.lease != end.lease or attempt.reported:
            _events.warning("result_refused", worker=worker.number, lease=end.lease)
            return
        attempt.reported = True
        if end.reason is Reason.INTERRUPTED and attempt.end_reason is None:
            # The daemon did not ask for that: the worker received SIGTERM, and leaves.
            worker.stopping = True
        self._begin(attempt.lease, self._finish(worker, attempt, end))

    def gone(self, worker: WorkerHandle) -> None:
        """A worker's process has ended: settle its attempt, and clean up."""
        lease = None if worker.attempt is None else worker.attempt.lease
        self._begin(lease, self._settle_dead_worker(worker))

    def settle(self, unsettled: Unsettled) -> None:
        """Settle an attempt that no worker of this daemon has."""
        attempt = unsettled.attempt
        work = self._insist(lambda: self._recovery.settle(unsettled), **attempt.about())
        self._begin(attempt.lease, work)

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
        self, worker: WorkerHandle, attempt: RunningAttempt, end: AttemptEnd
    ) -> None:
        finished = await self._record(attempt, end, next_for=worker)
        if finished.job is None:
            _events.warning("result_refused", **attempt.about())
        worker.attempt = None
        if worker.number not in self._pool.workers:
            await self._results.forget(end.lease)
        if finished.next is None:
            self._pool.ack(worker, end.lease)
            self._wakeup.wake()  # this worker is idle, or must leave
        elif not self._assign(worker, finished.next):
            self._pool.ack(worker, end.lease)

    async def _record(
        self,
        attempt: RunningAttempt,
        end: AttemptEnd,
        *,
        next_for: WorkerHandle | None = None,
    ) -> Recorded:
        """Record an end, however often that fails; claim the worker's next job."""
        try:
            while True:
                try:
                    return await self._finish_and_claim(attempt, end, next_for)
                except StoreError as error:
                    problem = str(error)
                    self.unstored.add(end.lease)
                    _events.error("result_not_stored", **attempt.about(), error=problem)
                except Exception as error:  # noqa: BLE001 - a result is never dropped
                    _events.exception("result_not_stored", error, **attempt.about())
                await asyncio.sleep(RETRY)
        except asyncio.CancelledError:
            self._results.keep(attempt, end)
            raise
        finally:
            self.unstored.discard(end.lease)

    async def _finish_and_claim(
        self, attempt: RunningAttempt, end: AttemptEnd, worker: WorkerHandle | None
    ) -> Recorded:
        # Whoever ends the service may have sent signals to the workers, too.
        asked = attempt.asked or self._desired.draining
        if (
            worker is None
            or worker.only_for is not None
            or self.in_doubt
            or not self._fit(worker)
        ):
            return await self._broker.finish(attempt.seq, end, asked=asked)
        self._claims += 1
        try:
            return await self._broker.finish(
                attempt.seq, end, asked=asked, next_for=worker.number
            )
        except StoreError:
            self.in_doubt = True
            raise
        finally:
            self._claims -= 1

    async def _settle_dead_worker(self, worker: WorkerHandle) -> None:
        attempt = worker.attempt
        whose = {"worker": worker.number} if attempt is None else attempt.about()
        await self._insist(lambda: self._recovery.settle_dead_worker(worker), **whose)
        worker.gone.set()

    async def _insist(
        self, work: Callable[[], Awaitable[None]], **whose: int | str
    ) -> None:
        """Repeat it until it succeeds: a job that is not settled stays processing."""
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
        if self.in_doubt:
            self._wakeup.wake()  # to reconcile
