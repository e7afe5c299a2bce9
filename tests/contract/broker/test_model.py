"""The broker on a real store does what a page of plain Python does.

Whatever is done, in whatever order, the jobs are those of ``helpers.model`` after
every step. Hypothesis makes up short lives of odd turns, and shrinks what it finds;
dice make up long ones. ``QUEUECTL_TEST_EXAMPLES`` says how many of each, at random;
without it they are few, and the same each time.
"""

import os
import random
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from helpers.jobs import NOW
from helpers.model import DEFAULTS, FINAL, ModelJob, Wanted
from helpers.twins import End, Twins
from queuectl_protocol.vocabulary import JobState, Reason
from queuectld.core import lifecycle
from queuectld.core.errors import JobNotFoundError
from queuectld.core.job import AttemptEnd

EXAMPLES = os.environ.get("QUEUECTL_TEST_EXAMPLES")

VALUES: dict[str, tuple[float | None, ...]] = {
    "max_retries": (None, 0, 1, 2),
    "backoff_base": (None, 1, 1.5, 3),
    "backoff_max": (None, 0, 5, 600),
    "backoff_jitter": (None, 0, 1),
    "max_queued": (None, 1, 3, 8),
}
assert set(VALUES) == set(DEFAULTS)

WISHES: dict[str, tuple[Any, ...]] = {
    "id": (None, None, "alpha", "beta", "gamma"),
    "command": ("true", "true", "false"),
    "priority": (None, 0, 0, 1, -1),
    "max_retries": (None, None, 0, 1),
    "run_at": (None, None, NOW - 1, NOW + 3_000, NOW + 90_000),
    "expires": (None, None, None, None, NOW + 4_000, NOW + 91_000, NOW + 10**8),
}
ENDS: tuple[End, ...] = (
    *((Reason.EXIT, code) for code in (0, 0, 1, 1)),
    *((Reason.LOST, None) for _ in range(3)),
    *((reason, None) for reason in lifecycle.END_EVENT),
)
STATES = (None, None, None, None, *JobState)
"""The state that somebody asks a job to be in; mostly none."""
TIMES = (0.001, 0.5, 1, 2, 4.2, 60, 5_000)

picks = st.integers(0, 10_000)
"""Which of those that there are: taken modulo their number."""
wishes = st.builds(Wanted, **{k: st.sampled_from(v) for k, v in WISHES.items()})
batches = st.lists(wishes, min_size=1, max_size=4)
ends = st.sampled_from(ENDS)
states = st.sampled_from(STATES)


class BrokerMachine(RuleBasedStateMachine):
    """What can be done to a queue. One step of a life may be several things."""

    def __init__(self) -> None:
        super().__init__()
        self.twins = Twins()
        self.model = self.twins.model

    def teardown(self) -> None:
        """Leave nothing behind."""
        self.twins.close()

    def any_job(self, number: int) -> ModelJob:
        """Return one of the jobs."""
        jobs = list(self.model.jobs.values())
        return jobs[number % len(jobs)]

    @initialize(retries=st.sampled_from(VALUES["max_retries"]))
    def begin(self, retries: float | None) -> None:
        """Start with some jobs: a life from nothing takes long to get anywhere."""
        self.configure("max_retries", VALUES["max_retries"].index(retries))
        self.twins.enqueue([Wanted(), Wanted(max_retries=1)], returns=False)

    @rule(batch=batches, returns=st.booleans())
    def enqueue(self, batch: list[Wanted], returns: bool) -> None:
        """Add jobs, all or none."""
        self.twins.enqueue(batch, returns=returns)

    @rule(count=st.integers(1, 3))
    def claim(self, count: int) -> None:
        """Give workers something to do, if there is anything."""
        self.twins.claim(count)

    @rule(reports=st.lists(ends, min_size=2, max_size=8))
    def work(self, reports: list[End]) -> None:
        """Run jobs one after the other, waiting for their time where needed."""
        for end in reports:
            self.twins.promote(exactly=not self.model.next(1, self.twins.clock.now))
            for job in self.twins.claim(1):
                self.twins.finish(job, end, started=True, goes_on=False)
                self.twins.compare()

    @precondition(lambda self: self.model.in_states("processing"))
    @rule(number=picks, end=ends, started=st.booleans(), goes_on=st.booleans())
    def finish(self, number: int, end: End, started: bool, goes_on: bool) -> None:
        """End a run; its worker may take the next job with it."""
        running = self.model.in_states("processing")
        job = running[number % len(running)]
        self.twins.finish(job, end, started=started, goes_on=goes_on)

    @precondition(lambda self: self.twins.leases and self.model.jobs)
    @rule(number=picks, which=picks, end=ends)
    def finish_late(self, number: int, which: int, end: End) -> None:
        """A result under any lease but the current one is refused."""
        job, broker = self.any_job(number), self.twins.broker
        others = sorted(self.twins.leases - {job.lease}) or [10**9]
        report = AttemptEnd(others[which % len(others)], NOW, NOW, *end)
        for seq in (job.seq, 10**9):
            done = self.twins.run(broker.finish(seq, report))
            assert (done.job, done.next) == (None, None)

    @precondition(lambda self: self.model.in_states("processing"))
    @rule(number=picks, end=ends)
    def cancel_running(self, number: int, end: End) -> None:
        """Whatever end comes after it, it is cancelled."""
        running = self.model.in_states("processing")
        job = running[number % len(running)]
        self.cancel(self.model_index(job), None)
        self.twins.finish(job, end, started=True, goes_on=False)
        assert job.state == "cancelled"

    def model_index(self, job: ModelJob) -> int:
        """Return the number under which ``any_job`` gives this one."""
        return list(self.model.jobs.values()).index(job)

    @precondition(lambda self: self.model.jobs)
    @rule(number=picks, state=states)
    def cancel(self, number: int, state: JobState | None) -> None:
        """Somebody does not want a job, perhaps only if it is in some state."""
        job = self.any_job(number)
        self.twins.guarded(job, state, self.twins.cancel, self.model.cancel)

    @precondition(lambda self: self.model.jobs)
    @rule(number=picks, state=states)
    def retry(self, number: int, state: JobState | None) -> None:
        """Somebody wants a job again, perhaps only if it is in some state."""
        job = self.any_job(number)
        self.twins.guarded(job, state, self.twins.retry, self.model.retry)

    @precondition(lambda self: self.model.in_states("failed"))
    @rule(number=picks, wanted=st.booleans())
    def decide_about_failed(self, number: int, wanted: bool) -> None:
        """A job that waits for its retry is wanted now, or not any more."""
        failed = self.model.in_states("failed")
        number = self.model_index(failed[number % len(failed)])
        (self.retry if wanted else self.cancel)(number, None)

    @rule(state=st.sampled_from(("dead", "failed", "cancelled", "completed")))
    def retry_all(self, state: str) -> None:
        """Everything in a state again."""
        self.twins.retry_all(state)

    @rule(job_id=st.sampled_from(("nobody", "0", "007", "999999")))
    def ask_for_nobody(self, job_id: str) -> None:
        """An id that no job has is an error, whatever is asked."""
        twins = self.twins
        for ask in (twins.broker.job, twins.cancel, twins.retry):
            refusal = self.twins.refusal_of(partial(ask, job_id))
            assert refusal is JobNotFoundError

    @rule(seconds=st.sampled_from(TIMES))
    def wait(self, seconds: float) -> None:
        """Time passes, and the scheduler does what is due; nothing else happens."""
        self.twins.clock.advance(seconds)
        self.twins.compare()
        self.twins.promote(exactly=False)

    @rule(
        states=st.sets(st.sampled_from(FINAL), min_size=1),
        older_than=st.sampled_from((0, 0, 1, 100)),
    )
    def prune(self, states: set[str], older_than: float) -> None:
        """Finished jobs are forgotten."""
        self.twins.prune(states, older_than)

    @rule(key=st.sampled_from(sorted(VALUES)), number=picks)
    def configure(self, key: str, number: int) -> None:
        """A setting changes: for jobs to come, or at once."""
        value = VALUES[key][number % len(VALUES[key])]
        self.twins.run(self.twins.broker.set_setting(key, value))
        self.model.settings[key] = DEFAULTS[key] if value is None else value
        assert getattr(self.twins.broker.settings, key) == self.model.settings[key]

    @rule()
    def reopen(self) -> None:
        """The daemon restarts; nothing is different."""
        self.twins.reopen()

    @invariant()
    def the_jobs_are_those_of_the_model(self) -> None:
        """Every job, every attempt, every count."""
        self.twins.compare()

    @invariant()
    def the_statistics_count_what_happened(self) -> None:
        """Also of jobs that are gone."""
        self.twins.compare_statistics()


TestBroker = BrokerMachine.TestCase
TestBroker.settings = settings(
    max_examples=int(EXAMPLES or 20),
    stateful_step_count=60 if EXAMPLES else 30,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def _wish(dice: random.Random) -> Wanted:
    return Wanted(**{key: dice.choice(values) for key, values in WISHES.items()})


def _some(dice: random.Random, most: int) -> range:
    return range(dice.randint(1, most))


Act = Callable[[BrokerMachine, random.Random], None]
ALWAYS: tuple[Act, ...] = (
    lambda m, d: m.enqueue([_wish(d) for _ in _some(d, 4)], d.random() < 0.5),
    lambda m, d: m.enqueue([_wish(d) for _ in _some(d, 4)], d.random() < 0.5),
    lambda m, d: m.work([d.choice(ENDS) for _ in _some(d, 8)]),
    lambda m, d: m.claim(d.randint(1, 3)),
    lambda m, d: m.retry_all(d.choice(("dead", "failed", "cancelled", "completed"))),
    lambda m, d: m.wait(d.choice(TIMES)),
    lambda m, d: m.prune(set(d.sample(FINAL, d.randint(1, 3))), d.choice((0, 1, 100))),
    lambda m, d: m.configure(d.choice(sorted(VALUES)), d.randrange(20)),
    lambda m, _: m.reopen(),
)
WITH_JOBS: tuple[Act, ...] = (
    lambda m, d: m.cancel(d.randrange(10_000), d.choice(STATES)),
    lambda m, d: m.retry(d.randrange(10_000), d.choice(STATES)),
)
WITH_RUNNING: tuple[Act, ...] = (
    lambda m, d: m.finish(
        d.randrange(100), d.choice(ENDS), d.random() < 0.5, d.random() < 0.5
    ),
    lambda m, d: m.finish_late(d.randrange(100), d.randrange(100), d.choice(ENDS)),
    lambda m, d: m.cancel_running(d.randrange(100), d.choice(ENDS)),
)


@pytest.mark.parametrize("life", range(int(EXAMPLES or 5)))
def test_a_long_life(life: int) -> None:
    """Two hundred acts by chance, and the two queues are the same after each."""
    dice = random.Random(random.random() if EXAMPLES else life)
    machine = BrokerMachine()
    try:
        for _ in range(200):
            acts = ALWAYS
            acts += WITH_JOBS if machine.model.jobs else ()
            acts += WITH_RUNNING if machine.model.in_states("processing") else ()
            dice.choice(acts)(machine, dice)
            machine.twins.compare()
            machine.twins.compare_statistics()
    finally:
        machine.teardown()
