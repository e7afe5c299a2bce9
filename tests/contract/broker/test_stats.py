"""What the statistics say about what happened."""

from functools import partial

import pytest

from helpers.asynchronous import asynchronous
from helpers.brokers import Desk, a_desk
from helpers.clocks import StandingClock
from helpers.jobs import NOW
from helpers.stores import Home
from queuectl_protocol.vocabulary import JobState, Reason
from queuectld.core.job import Job
from queuectld.core.statistics import Spread
from queuectld.operations import lookups, upkeep

NOTHING = Spread(0, None, None, None, None)
MINUTE = 60_000


async def timed(desk: Desk, seconds: float, exit_code: int = 0) -> Job:
    """Run the next job for so long."""
    job = (await desk.claim()).job
    desk.clock.advance(seconds)
    finished = await desk.finish(job, exit_code=exit_code)
    assert finished.job is not None
    return finished.job


@asynchronous
async def test_a_new_queue_has_nothing_to_tell(home: Home) -> None:
    """Zeros and no rates, from when the store was made."""
    async with a_desk(home) as desk:
        stats = await desk.broker.stats(None)
        assert stats.since == NOW
        assert (stats.completed, stats.dead, stats.cancelled) == (0, 0, 0)
        assert (stats.failed_attempts, stats.retries, stats.lost) == (0, 0, 0)
        assert (stats.success_rate, stats.run, stats.wait) == (None, NOTHING, NOTHING)


@asynchronous
async def test_ends_are_counted_by_what_became_of_the_job(home: Home) -> None:
    """Failures and retries by attempt, the rest by job."""
    async with a_desk(home) as desk:
        for state in (JobState.COMPLETED,) * 3 + (JobState.DEAD, JobState.CANCELLED):
            await desk.in_state(state)
        await desk.enqueue(max_retries=1)
        assert (await desk.run(exit_code=1)).state is JobState.FAILED
        await desk.broker.retry_all(JobState.FAILED)
        assert (await desk.run(Reason.LOST)).state is JobState.FAILED
        assert (await desk.run(Reason.LOST)).state is JobState.DEAD
        stats = await desk.broker.stats(None)
        assert (stats.completed, stats.dead, stats.cancelled) == (3, 2, 1)
        assert stats.failed_attempts == 4
        assert (stats.retries, stats.lost) == (2, 2)
        assert stats.success_rate == pytest.approx(3 / 5)
        assert stats.run.count == stats.wait.count == 7


@asynchronous
async def test_long_statistics_let_others_have_their_turn(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are added up in many short reads, to the same sums."""
    async with a_desk(home) as desk:
        for _ in range(3):
            await desk.in_state(JobState.COMPLETED)
            desk.clock.advance(7200)
        whole, turns = await desk.broker.stats(None), []

        async def count() -> None:
            turns.append(await desk.broker.read(lookups.counts))

        monkeypatch.setattr(lookups, "ROLLUP_ROWS", 1)
        desk.others.after_read = count
        assert await desk.broker.stats(None) == whole
        assert len(turns) >= 3


@asynchronous
async def test_a_cancelled_job_counts_once(home: Home) -> None:
    """When it is over, and not when it was asked for; not as a failure."""
    async with a_desk(home) as desk:
        job = await desk.in_state(JobState.PROCESSING)
        for _ in range(2):
            await desk.cancel(job.id)
        assert (await desk.broker.stats(None)).cancelled == 0
        await desk.finish(job, Reason.CANCELLED)
        stats = await desk.broker.stats(None)
        assert (stats.cancelled, stats.completed, stats.failed_attempts) == (1, 0, 0)


@asynchronous
async def test_an_interrupted_run_is_neither_success_nor_failure(home: Home) -> None:
    """Its duration counts; the job is not at its end."""
    async with a_desk(home) as desk:
        await desk.in_state(JobState.PENDING)
        await desk.run(Reason.INTERRUPTED)
        stats = await desk.broker.stats(None)
        assert (stats.completed, stats.failed_attempts, stats.retries) == (0, 0, 0)
        assert (stats.success_rate, stats.run.count) == (None, 1)


@asynchronous
async def test_durations_are_those_of_the_attempts(home: Home) -> None:
    """In seconds, failed ones included."""
    async with a_desk(home) as desk:
        for seconds in (1, 2, 9):
            await desk.enqueue(max_retries=0)
            await timed(desk, seconds, exit_code=int(seconds == 2))
        run = (await desk.broker.stats(None)).run
        assert (run.count, run.average) == (3, 4)
        assert run.p50 == pytest.approx(2, rel=0.05)
        assert run.p99 == pytest.approx(9, rel=0.05)


@pytest.mark.parametrize(
    ("run_at", "waited"),
    [(None, 10), (NOW + 4000, 6), (NOW - 90_000, 10), (NOW, 10)],
)
@asynchronous
async def test_a_wait_is_counted_from_when_the_job_could_start(
    home: Home, run_at: int | None, waited: float
) -> None:
    """From its time, or from when it came in if that was later."""
    async with a_desk(home) as desk:
        await desk.enqueue(run_at=run_at)
        desk.clock.advance(10)
        await desk.broker.promote()
        await desk.claim()
        wait = (await desk.broker.stats(None)).wait
        assert (wait.count, wait.average) == (1, waited)


@asynchronous
async def test_a_retry_waits_from_its_own_time(home: Home) -> None:
    """The backoff is no waiting for a worker."""
    async with a_desk(home) as desk:
        job = await desk.in_state(JobState.FAILED, max_retries=1, backoff_jitter=0)
        assert job.run_at == NOW + 2000
        desk.clock.advance(5)
        await desk.broker.promote()
        await desk.claim()
        wait = (await desk.broker.stats(None)).wait
        assert (wait.count, wait.average) == (2, 1.5)


@asynchronous
async def test_statistics_of_a_span(home: Home) -> None:
    """From a minute on; never from before the store was made."""
    async with a_desk(home) as desk:
        await desk.in_state(JobState.COMPLETED)
        desk.clock.advance(600)
        await desk.in_state(JobState.COMPLETED)
        await desk.in_state(JobState.DEAD)
        whole = await desk.broker.stats(None)
        assert (whole.completed, whole.minutes, whole.since) == (2, 10, NOW)
        assert whole.per_minute == pytest.approx(0.2)
        late = await desk.broker.stats(NOW + 5 * MINUTE)
        assert (late.completed, late.dead, late.minutes) == (1, 1, 5)
        assert late.since == NOW + 5 * MINUTE
        assert (await desk.broker.stats(NOW - MINUTE)).since == NOW
    async with a_desk(home, StandingClock(NOW + 20 * MINUTE)) as desk:
        again = await desk.broker.stats(None)
        assert (again.since, again.completed, again.minutes) == (NOW, 2, 20)


@asynchronous
async def test_statistics_outlive_pruning_and_thinning(home: Home) -> None:
    """The jobs of last month are gone; what they did is still told."""
    async with a_desk(home) as desk:
        jobs = [await desk.in_state(JobState.COMPLETED) for _ in range(3)]
        before = await desk.broker.stats(None)
        desk.clock.advance(30 * 86_400)
        assert len(await desk.delete(jobs)) == 3
        while await desk.broker.run(
            partial(upkeep.thin_statistics, now=desk.clock.now)
        ):
            pass
        after = await desk.broker.stats(None)
        assert (after.completed, after.run, after.wait) == (3, before.run, before.wait)


@asynchronous
async def test_what_is_told_begins_with_a_whole_minute(home: Home) -> None:
    """From its start on everything counts, and no younger moment is told."""
    async with a_desk(home) as desk:
        desk.clock.advance(7200)
        await desk.in_state(JobState.COMPLETED)
        now = desk.clock.wall()
        stats = await desk.broker.stats(now)
        assert stats.completed == 1
        assert stats.since == now - now % MINUTE
        desk.clock.advance(60)
        assert (await desk.broker.stats(desk.clock.wall())).completed == 0
        assert (await desk.broker.stats(0)).since == NOW
