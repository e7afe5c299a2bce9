"""A broker on a real store and a queue of plain Python, to which the same is done.

Every act here does one thing to both and compares what comes out: the result, the
refusal, who was told. ``compare`` compares all that there is.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from helpers.brokers import Observed, change
from helpers.clocks import StandingClock
from helpers.model import FINAL, RANDOM, WAITING, ModelJob, ModelQueue, Wanted
from helpers.model import RefusedError as Refused
from queuectl_protocol.vocabulary import JobState, Reason
from queuectld.broker import Broker
from queuectld.control.pruning import Pruner
from queuectld.core.errors import (
    InvalidJobError,
    JobConflictError,
    JobExistsError,
    JobStateError,
    QueueError,
    QueueFullError,
)
from queuectld.core.event import Event
from queuectld.core.job import Assignment, AttemptEnd, Job, Submission
from queuectld.operations.enqueue import IfExists
from queuectld.store.api import Reader
from queuectld.store.sqlite.store import SqliteStore

T = TypeVar("T")

End = tuple[Reason, int | None]
"""How an attempt ends: reason and exit code."""

REFUSALS: dict[str, type[QueueError]] = {
    "exists": JobExistsError,
    "conflict": JobConflictError,
    "full": QueueFullError,
    "late": InvalidJobError,
    "state": JobStateError,
}


class Twins:
    """The two, in a temporary directory, with a clock that stands still."""

    def __init__(self) -> None:
        self.model = ModelQueue()
        self.clock = StandingClock()
        self.leases: set[int] = set()
        self._seqs: set[int] = set()
        self._workers = 0
        self._observed = Observed()
        self._folder = TemporaryDirectory()
        self._runner = asyncio.Runner()
        self.run(self._open())

    async def _open(self) -> None:
        self.store = SqliteStore(Path(self._folder.name) / "queuectl.db")
        self.broker = Broker(self.store, self._observed, self.clock, lambda: RANDOM)
        await self.broker.open()

    def reopen(self) -> None:
        """Restart the daemon: nothing is different."""
        before = self.broker.store_id, self.broker.settings
        self.run(self.store.close())
        self.run(self._open())
        assert (self.broker.store_id, self.broker.settings) == before

    async def cancel(self, job_id: str, if_state: JobState | None = None) -> Job:
        """Have the broker cancel a job."""
        return await change(self.broker, Event.CANCEL, job_id, if_state)

    async def retry(self, job_id: str, if_state: JobState | None = None) -> Job:
        """Have the broker retry a job."""
        return await change(self.broker, Event.RETRY, job_id, if_state)

    def close(self) -> None:
        """Leave nothing behind."""
        self.run(self.store.close())
        self._runner.close()
        self._folder.cleanup()

    def run(self, work: Awaitable[T]) -> T:
        """Do it in the loop, and return what it returns."""

        async def await_it() -> T:
            return await work

        return self._runner.run(await_it())

    def refusal_of(self, real: Callable[[], Awaitable[object]]) -> object:
        """Return the kind of error that the broker answers, or None."""
        return self.run(_attempt(real))[1]

    def both(
        self, real: Callable[[], Awaitable[T]], model: Callable[[], object]
    ) -> T | None:
        """Do the same to both; return the broker's result, None if it refused.

        Both must refuse, or none. Who watches a job that changed must have heard of
        it, and the scheduler of each that waits.
        """
        before = deepcopy(self.model.jobs)
        self._observed.waiting.clear()
        expected = None
        try:
            model()
        except Refused as refused:
            expected = REFUSALS[refused.args[0]]
        with ExitStack() as stack:
            watch = self.broker.events.watch
            heard = {j.id: stack.enter_context(watch(j.seq)) for j in before.values()}
            result, refusal = self.run(_attempt(real))
        assert refusal is expected
        for job in self.model.jobs.values():
            if job.id in heard and job != before[job.id]:
                assert heard[job.id].is_set()
                self._assert_told(job)
        return result

    def _assert_told(self, job: ModelJob) -> None:
        if job.due is not None:
            assert (None if job.due else job.run_at) in self._observed.waiting
            assert job.expires is None or job.expires in self._observed.waiting

    # -- acts ----------------------------------------------------------------------

    def enqueue(self, batch: Sequence[Wanted], *, returns: bool) -> None:
        """Add jobs, all or none."""
        flags: list[bool] = []
        if_exists = IfExists.RETURN if returns else IfExists.ERROR
        done = self.both(
            lambda: self.broker.enqueue(
                [Submission(**vars(wanted)) for wanted in batch], if_exists=if_exists
            ),
            lambda: flags.extend(
                self.model.outcome(batch, returns=returns, now=self.clock.now)
            ),
        )
        if done is None:
            return
        assert [enqueued.created for enqueued in done] == flags
        for wanted, enqueued in zip(batch, done, strict=True):
            job = enqueued.job
            assert wanted.id in (None, job.id)
            if enqueued.created:
                assert job.seq > max(self._seqs, default=0)
                self._seqs.add(job.seq)
                self.model.add(wanted, job.id, job.seq, self.clock.now)
                self._assert_told(self.model.jobs[job.id])

    def promote(self, *, exactly: bool) -> None:
        """Do what the scheduler does in time; ``exactly``: go to the next time."""
        earliest = self.model.next_run_at()
        if exactly and earliest is not None:
            self.clock.now = max(self.clock.now, earliest)
        self.model.promote(self.clock.now)
        assert self.run(self.broker.promote()) == self.model.next_time()

    def claim(self, count: int) -> list[ModelJob]:
        """Give so many workers something to do; return what they got."""
        workers = [self._workers + n for n in range(1, count + 1)]
        self._workers += count
        expected = self.model.next(count, self.clock.now)
        claimed = self.run(self.broker.claim(workers))
        assert len(claimed) == len(expected)
        for assignment, job, worker in zip(claimed, expected, workers, strict=False):
            self._claimed(assignment, job, worker)
        return expected

    def _claimed(self, assignment: Assignment, job: ModelJob, worker: int) -> None:
        assert assignment.job.id == job.id
        assert assignment.lease > max(self.leases, default=0)
        self.leases.add(assignment.lease)
        self.model.claim(job, assignment.lease, worker)

    def finish(self, job: ModelJob, end: End, *, started: bool, goes_on: bool) -> None:
        """End a run; ``goes_on``: its worker takes the next job with it."""
        assert job.lease is not None
        now, worker = self.clock.now, job.worker
        report = AttemptEnd(job.lease, now if started else None, now, *end)
        next_for = worker if goes_on else None
        done = self.both(
            lambda: self.broker.finish(job.seq, report, next_for=next_for),
            lambda: self.model.finish(job, end[0].value, end[1], now),
        )
        assert done is not None
        assert done.job is not None
        expected = self.model.next(1, now) if goes_on else []
        assert (done.next is not None) == bool(expected)
        if done.next is not None and worker is not None:
            self._claimed(done.next, expected[0], worker)

    def guarded(
        self,
        job: ModelJob,
        state: JobState | None,
        real: Callable[[str, JobState | None], Awaitable[Job]],
        model: Callable[[ModelJob, int], None],
    ) -> None:
        """Do something to a job that may ask for its state."""

        def check_and_do() -> None:
            if state is not None and job.state != state:
                raise Refused("state")
            model(job, self.clock.now)

        self.both(lambda: real(job.id, state), check_and_do)

    def retry_all(self, state: str) -> None:
        """Queue everything in a state again."""
        jobs = self.model.in_states(state)

        def retry() -> None:
            for job in jobs:
                self.model.retry(job, self.clock.now)

        done = self.both(lambda: self.broker.retry_all(JobState(state)), retry)
        assert done == (len(jobs), 0)

    def prune(self, states: set[str], older_than: float) -> None:
        """Forget finished jobs."""
        pruner = Pruner(self.broker, self._folder.name, self.clock)
        wanted = [JobState(state) for state in sorted(states)]
        pruned = self.run(pruner.prune(wanted, older_than))
        assert pruned == self.model.prune(states, older_than, self.clock.now)

    # -- what must be the same -------------------------------------------------------

    def compare(self) -> None:
        """Compare every job, every attempt, every count."""
        model = self.model
        expected = sorted(model.jobs.values(), key=lambda job: job.seq)
        jobs, records, counts, running, earliest = self.run(self.store.read(_picture))
        names = expected[0].facts().keys() if expected else ()
        found = [{name: getattr(job, name) for name in names} for job in jobs]
        assert found == [job.facts() for job in expected]
        assert records == [
            [(r.run, r.lease, r.worker, r.reason) for r in job.records]
            for job in expected
        ]
        assert counts == {state: len(model.in_states(state)) for state in JobState}
        ids = [job.id for job in expected if job.state == "processing"]
        assert [job.id for job in running] == ids
        assert earliest == model.next_run_at()
        for job in jobs:
            _assert_consistent(job)

    def compare_statistics(self) -> None:
        """Compare what was counted, also of jobs that are gone."""
        stats, counted = self.run(self.broker.stats(None)), self.model.counted
        assert stats.completed == counted["completed"]
        assert stats.dead == counted["dead"]
        assert stats.cancelled == counted["cancelled"]
        assert stats.failed_attempts == counted["failed"]
        assert stats.retries == counted["retried"]
        assert stats.lost == counted["lost"]
        assert stats.run.count == counted["run"]
        assert stats.wait.count == counted["wait"]


async def _attempt(
    real: Callable[[], Awaitable[T]],
) -> tuple[T | None, type[QueueError] | None]:
    try:
        return await real(), None
    except QueueError as error:
        return None, type(error)


def _picture(reader: Reader) -> tuple[Any, ...]:
    jobs = reader.page(None, None, 10_000).jobs[::-1]
    records = [
        [
            (a.run, a.lease, a.worker, a.end and a.end.reason.value)
            for a in reader.attempts(job.seq)
        ]
        for job in jobs
    ]
    counts, running = reader.counts(), reader.running()
    assert reader.delayed() == sum(job.due is False for job in jobs)
    return jobs, records, counts, running, reader.next_run_at()


def _assert_consistent(job: Job) -> None:
    """What is true of a job in whatever life it has."""
    runs, waits = job.state is JobState.PROCESSING, job.state in WAITING
    assert (job.lease is not None) == runs
    assert (job.due is not None) == waits
    assert not job.cancel_requested or runs
    assert 0 <= job.losses <= job.attempts <= job.runs
    assert job.attempts <= job.max_retries + 1
    if job.state in FINAL:
        assert job.finished_at is not None
    if job.due is False:
        assert job.run_at is not None
