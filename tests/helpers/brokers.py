"""A broker with a clock that stands still, on a store that lives for one test."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from helpers.clocks import StandingClock
from helpers.stores import Home
from queuectl_protocol.vocabulary import JobState, Reason
from queuectld.broker import Broker
from queuectld.core.errors import QueueError
from queuectld.core.event import Event
from queuectld.core.job import Assignment, AttemptEnd, Job, Submission
from queuectld.events import Observer
from queuectld.operations import delete, lookups, upkeep
from queuectld.operations.change import Outcome
from queuectld.operations.enqueue import IfExists
from queuectld.operations.finish import Recorded
from queuectld.operations.lookups import JobView
from queuectld.store.api import Reader, Store, Transaction

T = TypeVar("T")

RANDOM = 0.5
"""What is drawn for the jitter of a retry."""


Turn = Callable[[], Awaitable[object]]


class Interrupted:
    """A store that gives others a turn after each write, or read: in a test, always.

    Attributes:
        writes: how many there were.
        after_write, after_read: what the others do.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.writes = 0
        self.after_write: Turn | None = None
        self.after_read: Turn | None = None

    async def write(self, work: Callable[[Transaction], T], *, weight: int = 1) -> T:
        """Write, then let the others do theirs, undisturbed."""
        result = await self._store.write(work, weight=weight)
        self.writes += 1
        turn, self.after_write = self.after_write, None
        if turn is not None:
            await turn()
            self.after_write = turn
        return result

    async def read(self, query: Callable[[Reader], T]) -> T:
        """Read, then let the others do theirs, undisturbed."""
        result = await self._store.read(query)
        turn, self.after_read = self.after_read, None
        if turn is not None:
            await turn()
            self.after_read = turn
        return result

    def __getattr__(self, name: str) -> Any:
        """Do the rest as the store does it."""
        return getattr(self._store, name)


@dataclass
class Observed:
    """Notes what a broker reports.

    Attributes:
        waiting: the times of jobs that wait, in order; None: for a worker.
        writes: how often something was written.
        doubts: how often nobody knew what was committed.
    """

    waiting: list[int | None] = field(default_factory=list)
    writes: int = 0
    doubts: int = 0

    def job_waits(self, run_at: int | None) -> None:
        """Note a job that waits."""
        self.waiting.append(run_at)

    def written(self) -> None:
        """Note a write."""
        self.writes += 1

    def in_doubt(self) -> None:
        """Note a doubt."""
        self.doubts += 1


async def change(
    broker: Broker,
    event: Event,
    job_id: str,
    if_state: JobState | None = None,
    submitter: int | None = None,
) -> Job:
    """Cancel or retry one job; raise why that was refused."""
    (outcome,) = await broker.change(event, [job_id], if_state, submitter=submitter)
    if isinstance(outcome, QueueError):
        raise outcome
    return outcome


@dataclass
class Desk:
    """A broker and what stands around it.

    Attributes:
        others: has a turn after the broker's reads and writes.
        observed: what the broker reported.
    """

    broker: Broker
    store: Store
    others: Interrupted
    clock: StandingClock
    observed: Observed

    @property
    def waiting(self) -> list[int | None]:
        """When the jobs that were reported to wait may be started, in order."""
        return self.observed.waiting

    async def enqueue(self, command: str = "true", **fields: Any) -> Job:
        """Add one job."""
        submission = Submission(command, **fields)
        (done,) = await self.broker.enqueue([submission], if_exists=IfExists.ERROR)
        return done.job

    async def claim(self, worker: int = 1) -> Assignment:
        """Let a worker take the next job, which there must be."""
        (assignment,) = await self.broker.claim([worker])
        return assignment

    async def finish(
        self,
        job: Job,
        reason: Reason = Reason.EXIT,
        exit_code: int | None = None,
        *,
        next_for: int | None = None,
        **fields: Any,
    ) -> Recorded:
        """End the job's run, now: with exit code 0 unless something is said."""
        assert job.lease is not None
        if reason is Reason.EXIT and exit_code is None:
            exit_code = 0
        values = {"started_at": job.started_at, "finished_at": self.clock.now, **fields}
        end = AttemptEnd(job.lease, reason=reason, exit_code=exit_code, **values)
        return await self.broker.finish(job.seq, end, next_for=next_for)

    async def run(self, reason: Reason = Reason.EXIT, exit_code: int = 0) -> Job:
        """Run the next job to its end; return it as it is then."""
        assignment = await self.claim()
        code = exit_code if reason is Reason.EXIT else None
        finished = await self.finish(assignment.job, reason, code)
        assert finished.job is not None
        return finished.job

    async def in_state(self, state: JobState, **fields: Any) -> Job:
        """Add a job and bring it into a state. Nothing else may be waiting."""
        job = await self.enqueue(**{"max_retries": 0, **fields})
        if state is JobState.PENDING:
            return job
        if state is JobState.CANCELLED:
            return await self.cancel(job.id)
        if state is JobState.PROCESSING:
            return (await self.claim()).job
        return await self.run(exit_code=int(state is not JobState.COMPLETED))

    async def now(self, job: Job) -> Job:
        """Return the job as it is now."""
        return await self.broker.job(job.id)

    async def cancel(self, job_id: str, *guards: Any, **named: Any) -> Job:
        """Cancel one job; see ``change``."""
        return await change(self.broker, Event.CANCEL, job_id, *guards, **named)

    async def retry(self, job_id: str, *guards: Any, **named: Any) -> Job:
        """Retry one job; see ``change``."""
        return await change(self.broker, Event.RETRY, job_id, *guards, **named)

    def watch(self, seq: int) -> AbstractContextManager[asyncio.Event]:
        """Give an event that is set at each committed change of a job."""
        return self.broker.events.watch(seq)

    def end_of(self, job: Job) -> asyncio.Future[Outcome]:
        """Return what becomes of a job that was cancelled."""
        return self.broker.events.end_of(job)

    async def running(self) -> list[Job]:
        """Return the jobs in ``processing``."""
        return await self.broker.read(lookups.running)

    async def number_workers(self, count: int) -> list[int]:
        """Return numbers for new workers."""
        return await self.broker.run(lambda tx: upkeep.number_workers(tx, count))

    async def set_meta(self, key: str, value: str) -> None:
        """Store a small value of the daemon's own."""
        await self.broker.run(lambda tx: upkeep.set_meta(tx, key, value))

    async def view(self, job_id: str, **asked: Any) -> JobView:
        """Return a job with its attempts."""
        return await self.broker.read(lookups.view, job_id, **asked)

    async def delete(self, jobs: Sequence[Job]) -> list[Job]:
        """Forget jobs."""
        return await self.broker.run(lambda tx: delete.delete(tx, jobs))


@asynccontextmanager
async def a_desk(
    home: Home, clock: StandingClock | None = None, observer: Observer | None = None
) -> AsyncIterator[Desk]:
    """Open the store at home, and a broker on it that reports to an observer."""
    clock = clock or StandingClock()
    async with home.open() as store:
        others = Interrupted(store)
        observed = Observed()
        broker = Broker(
            cast(Store, others), observer or observed, clock, lambda: RANDOM
        )
        await broker.open()
        yield Desk(broker, store, others, clock, observed)
