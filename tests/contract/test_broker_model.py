"""The broker on a real store does what a page of plain Python does.

Hypothesis makes up the lives of queues: whatever is done, in whatever order, the jobs
are those of ``helpers.model`` after every step. ``QUEUECTL_TEST_EXAMPLES`` says how
many lives, at random; without it they are few and the same each time.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
)

from helpers.clocks import StandingClock
from helpers.jobs import NOW
from helpers.model import (
    DEFAULTS,
    FINAL,
    RANDOM,
    WAITING,
    ModelJob,
    ModelQueue,
    RefusedError,
    Wanted,
)
from queuectl_protocol.vocabulary import JobState, Reason
from queuectld.broker import Broker, IfExists
from queuectld.core.errors import (
    JobConflictError,
    JobExistsError,
    JobNotFoundError,
    JobStateError,
    QueueError,
    QueueFullError,
)
from queuectld.core.job import Assignment, AttemptEnd, Job, Submission
from queuectld.housekeeping import Housekeeping
from queuectld.store.api import Reader
from queuectld.store.sqlite import SqliteStore

T = TypeVar("T")

EXAMPLES = os.environ.get("QUEUECTL_TEST_EXAMPLES")

REFUSALS: dict[str, type[QueueError]] = {
    "exists": JobExistsError,
    "conflict": JobConflictError,
    "full": QueueFullError,
    "state": JobStateError,
}
ENDS: tuple[tuple[Reason, int | None], ...] = (
    (Reason.EXIT, 0),
    (Reason.EXIT, 0),
    (Reason.EXIT, 1),
    (Reason.EXIT, 255),
    (Reason.LOST, None),
    *((reason, None) for reason in Reason if reason is not Reason.EXIT),
)
VALUES: dict[str, tuple[float | None, ...]] = {
    "max_retries": (None, 0, 1, 2),
    "backoff_base": (None, 1, 1.5, 3),
    "backoff_max": (None, 0, 5, 600),
    "backoff_jitter": (None, 0, 1),
    "max_queued": (None, 1, 3, 8),
}
assert set(VALUES) == set(DEFAULTS)

picks = st.integers(0, 10_000)
"""Which of those that there are; taken modulo their number."""
ids = st.none() | st.sampled_from(("alpha", "beta", "gamma"))
wishes = st.builds(
    Wanted,
    id=ids,
    command=st.sampled_from(("true", "true", "false")),
    priority=st.sampled_from((0, 0, 0, 1, -1)),
    max_retries=st.sampled_from((None, None, 0, 1)),
    run_at=st.sampled_from((None, None, NOW - 1, NOW + 3_000, NOW + 90_000)),
)
steps = st.sampled_from((0.001, 0.5, 1, 2, 4.2, 60, 5_000))


class BrokerMachine(RuleBasedStateMachine):
    """A broker and a model to which the same is done."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.clock = StandingClock()
        self.model = ModelQueue()
        self.leases: set[int] = set()
        self.seqs: set[int] = set()
        self.workers = 0
        self.announced: list[int | None] = []
        self.runner.run(self.open())

    async def open(self) -> None:
        """Open the store, and a broker on it."""
        self.store = SqliteStore(Path(self.folder.name) / "queuectl.db")
        self.broker = Broker(self.store, self.clock, lambda: RANDOM)
        self.broker.on_waiting = self.announced.append
        await self.broker.open()

    def teardown(self) -> None:
        """Close what is open."""
        self.runner.run(self.store.close())
        self.runner.close()
        self.folder.cleanup()

    # -- helpers -------------------------------------------------------------------

    def pick(self, number: int, jobs: list[ModelJob]) -> ModelJob:
        """Return one of the jobs."""
        return jobs[number % len(jobs)]

    def both(
        self, real: Callable[[], Awaitable[T]], model: Callable[[], Any]
    ) -> T | None:
        """Do the same to both; they must agree on whether it can be done.

        Who watches a job that changed must have heard of it.
        """
        before = deepcopy(self.model.jobs)
        self.announced.clear()
        try:
            model()
            expected = None
        except RefusedError as error:
            expected = REFUSALS[error.args[0]]
        with ExitStack() as stack:
            watch = self.broker.watch
            heard = {j.id: stack.enter_context(watch(j.seq)) for j in before.values()}
            done, refusal = self.runner.run(self.attempt(real))
        assert refusal is expected
        for job in self.model.jobs.values():
            if job.id not in heard or job == before[job.id]:
                continue
            assert heard[job.id].is_set()
            self.assert_announced(job)
        return done

    async def attempt(
        self, real: Callable[[], Awaitable[T]]
    ) -> tuple[T | None, type[QueueError] | None]:
        """Return the result, or the kind of refusal."""
        try:
            return await real(), None
        except QueueError as error:
            return None, type(error)

    def assert_announced(self, job: ModelJob) -> None:
        """The scheduler was told of a job that waits."""
        if job.due is not None:
            assert (None if job.due else job.run_at) in self.announced

    def started(self, assignment: Assignment, job: ModelJob, worker: int) -> None:
        """Compare a claim with what the model expects to be claimed."""
        assert assignment.job.id == job.id
        assert assignment.lease not in self.leases
        assert assignment.lease > max(self.leases, default=0)
        self.leases.add(assignment.lease)
        self.model.claim(job, assignment.lease, worker)

    # -- what can be done ------------------------------------------------------------

    @rule(batch=st.lists(wishes, min_size=1, max_size=4), returns=st.booleans())
    def enqueue(self, batch: list[Wanted], returns: bool) -> None:
        """Add jobs, all or none."""
        flags: list[bool] = []
        submissions = [
            Submission(w.command, w.id, "default", w.priority, w.max_retries)
            if w.run_at is None
            else Submission(
                w.command, w.id, "default", w.priority, w.max_retries, run_at=w.run_at
            )
            for w in batch
        ]
        if_exists = IfExists.RETURN if returns else IfExists.ERROR
        done = self.both(
            lambda: self.broker.enqueue(submissions, if_exists=if_exists),
            lambda: flags.extend(self.model.outcome(batch, returns=returns)),
        )
        if done is None:
            return
        assert [enqueued.created for enqueued in done] == flags
        for wanted, enqueued in zip(batch, done, strict=True):
            job = enqueued.job
            assert wanted.id in (None, job.id)
            if enqueued.created:
                assert job.seq > max(self.seqs, default=0)
                self.seqs.add(job.seq)
                self.model.add(wanted, job.id, job.seq, self.clock.now)
                self.assert_announced(self.model.jobs[job.id])

    @rule(count=st.integers(1, 3))
    def claim(self, count: int) -> None:
        """Give workers something to do."""
        workers = [self.workers + n for n in range(1, count + 1)]
        self.workers += count
        expected = self.model.next(count)
        claimed = self.runner.run(self.broker.claim(workers))
        assert len(claimed) == len(expected)
        for assignment, job, worker in zip(claimed, expected, workers, strict=False):
            self.started(assignment, job, worker)

    @precondition(lambda self: self.model.in_states("processing"))
    @rule(
        number=picks,
        end=st.sampled_from(ENDS),
        goes_on=st.booleans(),
        started=st.booleans(),
    )
    def finish(
        self, number: int, end: tuple[Reason, int | None], goes_on: bool, started: bool
    ) -> None:
        """End a run; its worker may take the next job with it."""
        job = self.pick(number, self.model.in_states("processing"))
        assert job.lease is not None
        now = self.clock.now
        report = AttemptEnd(job.lease, now if started else None, now, *end)
        next_for = job.worker if goes_on else None
        done = self.both(
            lambda: self.broker.finish(job.seq, report, next_for=next_for),
            lambda: self.model.finish(job, end[0].value, end[1], now),
        )
        assert done is not None
        assert done.job is not None
        expected = self.model.next(1) if goes_on else []
        assert (done.next is not None) == bool(expected)
        if done.next is not None and next_for is not None:
            self.started(done.next, expected[0], next_for)

    @precondition(lambda self: self.leases and self.model.jobs)
    @rule(number=picks, which=picks, end=st.sampled_from(ENDS))
    def finish_late(
        self, number: int, which: int, end: tuple[Reason, int | None]
    ) -> None:
        """A result under any lease but the current one is refused."""
        job = self.pick(number, list(self.model.jobs.values()))
        leases = sorted(self.leases - {job.lease}) or [max(self.leases) + 1]
        report = AttemptEnd(leases[which % len(leases)], NOW, NOW, *end)
        done = self.runner.run(self.broker.finish(job.seq, report))
        assert (done.job, done.next) == (None, None)
        gone = self.runner.run(self.broker.finish(10**9, report))
        assert (gone.job, gone.next) == (None, None)

    @precondition(lambda self: self.model.jobs)
    @rule(number=picks, state=st.none() | st.sampled_from(JobState))
    def cancel(self, number: int, state: JobState | None) -> None:
        """Somebody does not want a job, perhaps only if it is in some state."""
        job = self.pick(number, list(self.model.jobs.values()))
        self.both(
            lambda: self.broker.cancel(job.id, state),
            lambda: self.guarded(job, state, self.model.cancel),
        )

    @precondition(lambda self: self.model.jobs)
    @rule(number=picks, state=st.none() | st.sampled_from(JobState))
    def retry(self, number: int, state: JobState | None) -> None:
        """Somebody wants a job again, perhaps only if it is in some state."""
        job = self.pick(number, list(self.model.jobs.values()))
        self.both(
            lambda: self.broker.retry(job.id, state),
            lambda: self.guarded(job, state, self.model.retry),
        )

    def guarded(
        self,
        job: ModelJob,
        state: JobState | None,
        act: Callable[[ModelJob, int], None],
    ) -> None:
        """Do it to the model if the job is in that state."""
        if state is not None and job.state != state:
            raise RefusedError("state")
        act(job, self.clock.now)

    @rule(state=st.sampled_from(("dead", "failed", "cancelled", "completed")))
    def retry_all(self, state: str) -> None:
        """Everything in a state again."""
        jobs = self.model.in_states(state)
        done = self.both(
            lambda: self.broker.retry_all(JobState(state)),
            lambda: [self.model.retry(job, self.clock.now) for job in jobs],
        )
        assert done == len(jobs)

    @rule(job_id=st.sampled_from(("nobody", "0", "007", "999999")))
    def ask_for_nobody(self, job_id: str) -> None:
        """An id that no job has is an error, whatever is asked."""
        broker = self.broker
        for ask in (broker.view, broker.cancel, broker.retry):
            _, refusal = self.runner.run(self.attempt(lambda ask=ask: ask(job_id)))
            assert refusal is JobNotFoundError

    @rule(seconds=steps)
    def wait(self, seconds: float) -> None:
        """Time passes; nothing happens by itself."""
        self.clock.advance(seconds)

    @rule(exactly=st.booleans())
    def promote(self, exactly: bool) -> None:
        """What the scheduler does when the time has come, perhaps to the moment."""
        earliest = self.model.next_run_at()
        if exactly and earliest is not None:
            self.clock.now = max(self.clock.now, earliest)
        self.model.promote(self.clock.now)
        assert self.runner.run(self.broker.promote()) == self.model.next_run_at()

    @rule(
        states=st.sets(st.sampled_from(FINAL), min_size=1),
        older_than=st.sampled_from((0, 0, 1, 100)),
    )
    def prune(self, states: set[str], older_than: float) -> None:
        """Finished jobs are forgotten."""
        house = Housekeeping(self.broker, self.folder.name, self.clock)
        wanted = [JobState(state) for state in sorted(states)]
        pruned = self.runner.run(house.prune(wanted, older_than))
        assert pruned == self.model.prune(states, older_than, self.clock.now)

    @rule(key=st.sampled_from(sorted(VALUES)), number=picks)
    def configure(self, key: str, number: int) -> None:
        """A setting changes: for jobs to come, or at once."""
        value = VALUES[key][number % len(VALUES[key])]
        self.runner.run(self.broker.set_setting(key, value))
        self.model.settings[key] = DEFAULTS[key] if value is None else value
        assert getattr(self.broker.settings, key) == self.model.settings[key]

    @rule()
    def reopen(self) -> None:
        """The daemon restarts; nothing is different."""
        before = self.broker.store_id, self.broker.settings
        self.runner.run(self.store.close())
        self.runner.run(self.open())
        assert (self.broker.store_id, self.broker.settings) == before

    # -- what always holds -----------------------------------------------------------

    @invariant()
    def the_jobs_are_those_of_the_model(self) -> None:
        """Every job, every attempt, every count."""
        expected = sorted(self.model.jobs.values(), key=lambda job: job.seq)
        jobs, records, counts, running, earliest = self.runner.run(
            self.store.read(picture)
        )
        names = ModelJob.__dataclass_fields__.keys() - {"records"}
        found = [{name: getattr(job, name) for name in names} for job in jobs]
        assert found == [job.facts() for job in expected]
        assert records == [
            [(r.run, r.lease, r.worker, r.reason) for r in job.records]
            for job in expected
        ]
        assert counts == {s: len(self.model.in_states(s)) for s in JobState}
        assert [job.id for job in running] == [
            job.id for job in expected if job.state == "processing"
        ]
        assert earliest == self.model.next_run_at()
        for job in jobs:
            assert_consistent(job)

    @invariant()
    def the_statistics_count_what_happened(self) -> None:
        """Also of jobs that are gone."""
        stats = self.runner.run(self.broker.stats(None))
        counted = self.model.counted
        assert (stats.completed, stats.dead) == (counted["completed"], counted["dead"])
        assert stats.cancelled == counted["cancelled"]
        assert stats.failed_attempts == counted["failed"]
        assert (stats.retries, stats.lost) == (counted["retried"], counted["lost"])
        assert (stats.run.count, stats.wait.count) == (counted["run"], counted["wait"])


def picture(reader: Reader) -> tuple[Any, ...]:
    """Return what there is, oldest first, in one snapshot."""
    jobs = reader.page(None, None, 10_000).jobs[::-1]
    records = [
        [
            (a.run, a.lease, a.worker, a.end and a.end.reason.value)
            for a in reader.attempts(job.seq)
        ]
        for job in jobs
    ]
    counts, running = reader.counts(), reader.running()
    return jobs, records, counts, running, reader.next_run_at()


def assert_consistent(job: Job) -> None:
    """What is true of a job in whatever life it has."""
    runs, waits = job.state is JobState.PROCESSING, job.state in WAITING
    assert (job.lease is not None) == runs
    assert (job.due is not None) == waits
    assert not job.cancel_requested or runs
    assert 0 <= job.attempts <= job.runs
    assert job.attempts <= job.max_retries + 1
    assert job.losses <= job.attempts
    if job.state in FINAL:
        assert job.finished_at is not None
    if job.due is False:
        assert job.run_at is not None


TestBroker = BrokerMachine.TestCase
TestBroker.settings = settings(
    max_examples=int(EXAMPLES or 30),
    stateful_step_count=100 if EXAMPLES else 40,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
