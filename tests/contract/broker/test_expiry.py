"""What goes through the broker about jobs that must be started by a time."""

import asyncio

import pytest

from helpers.asynchronous import asynchronous
from helpers.brokers import Desk, a_desk
from helpers.jobs import NOW
from helpers.stores import Home, assert_counted
from queuectl_protocol.vocabulary import JobState, Reason
from queuectld.broker import IfExists
from queuectld.core.errors import InvalidJobError
from queuectld.core.job import Job, Submission
from queuectld.operations import promote

SECOND = 1000


async def expired(desk: Desk, job: Job) -> bool:
    """Return whether a job is over because it was not started in time."""
    now = await desk.now(job)
    return (now.state, now.reason) == (JobState.CANCELLED, Reason.EXPIRED)


@asynchronous
async def test_a_job_that_is_not_started_in_time_is_cancelled(home: Home) -> None:
    """Whether it is ready, waits for its time or for its retry; no other job is."""
    async with a_desk(home) as desk:
        failed = await desk.in_state(
            JobState.FAILED, expires=NOW + SECOND, max_retries=3, backoff_base=1000
        )
        running = await desk.in_state(JobState.PROCESSING, expires=NOW + SECOND)
        waiting = [
            failed,
            await desk.enqueue(expires=NOW + SECOND),
            await desk.enqueue(expires=NOW + SECOND, run_at=NOW + 1),
        ]
        others = [running, await desk.enqueue(), await desk.enqueue(expires=NOW + 5000)]
        assert await desk.broker.promote() is not None
        assert not any([await expired(desk, job) for job in waiting])
        desk.clock.advance(1)
        assert await desk.broker.promote() == NOW + 5 * SECOND
        assert all([await expired(desk, job) for job in waiting])
        assert not any([await expired(desk, job) for job in others])
        assert (await desk.now(failed)).finished_at == desk.clock.now
        assert (await desk.broker.stats(None)).cancelled == 3
        await assert_counted(desk.store)


@asynchronous
async def test_the_next_time_is_whichever_comes_first(home: Home) -> None:
    """That of a job for later, or an expiry."""
    async with a_desk(home) as desk:
        await desk.enqueue(run_at=NOW + 3000, expires=NOW + 4000)
        assert await desk.broker.promote() == NOW + 3000
        await desk.enqueue(expires=NOW + 2000)
        assert await desk.broker.promote() == NOW + 2000
        desk.clock.advance(2)
        assert await desk.broker.promote() == NOW + 3000
        desk.clock.advance(1)
        assert await desk.broker.promote() == NOW + 4000
        desk.clock.advance(1)
        assert await desk.broker.promote() is None


@asynchronous
async def test_many_that_expire_are_cancelled_in_steps(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that expired first come first; the next step is due at once."""
    monkeypatch.setattr(promote, "EXPIRED_AT_ONCE", 2)
    async with a_desk(home) as desk:
        jobs = [await desk.enqueue(expires=NOW + n) for n in (3, 1, 2)]
        desk.clock.advance(1)
        assert await desk.broker.promote() == NOW + 3
        assert [await expired(desk, job) for job in jobs] == [False, True, True]
        assert await desk.broker.promote() is None
        assert await expired(desk, jobs[0])


@asynchronous
async def test_whoever_has_to_know_is_told_of_an_expiry(home: Home) -> None:
    """When it is to come, each time the job waits; and a watcher when it came."""
    async with a_desk(home) as desk:
        job = await desk.enqueue(expires=NOW + SECOND)
        assert desk.waiting == [None, NOW + SECOND]
        claimed = (await desk.claim()).job
        assert desk.waiting == [None, NOW + SECOND]
        await desk.finish(claimed, Reason.INTERRUPTED)
        assert desk.waiting[2:] == [None, NOW + SECOND]
        with desk.watch(job.seq) as changed:
            desk.clock.advance(1)
            await desk.broker.promote()
            await asyncio.wait_for(changed.wait(), 1)
        assert await expired(desk, job)


@asynchronous
async def test_an_expired_job_is_never_claimed(home: Home) -> None:
    """Not before it was cancelled either, in none of the ways to claim one."""
    async with a_desk(home) as desk:
        first = await desk.enqueue()
        running = (await desk.claim()).job
        late = await desk.enqueue(priority=9, expires=NOW + SECOND)
        other = await desk.enqueue()
        desk.clock.advance(1)
        assert await desk.broker.claim_job(late.seq, 2) == []
        assert (await desk.finish(running, next_for=1)).next is None
        assert [a.job.seq for a in await desk.broker.claim([1, 2])] == [other.seq]
        assert (await desk.now(late)).state is JobState.PENDING
        assert (await desk.now(first)).state is JobState.COMPLETED


@asynchronous
async def test_a_run_that_is_late_to_fail_is_not_repeated(home: Home) -> None:
    """What was started in time may end after it; its retry would be too late."""
    async with a_desk(home) as desk:
        job = await desk.in_state(JobState.PROCESSING, expires=NOW + 1, max_retries=3)
        desk.clock.advance(1)
        assert await desk.broker.promote() is None
        await desk.finish(job, exit_code=7)
        await desk.broker.promote()
        assert await expired(desk, job)
        assert (await desk.now(job)).exit_code == 7


@asynchronous
async def test_a_new_job_that_could_never_start_is_refused(home: Home) -> None:
    """With its place in the batch; the same job asked for again is there already."""
    async with a_desk(home) as desk:
        asked = Submission("true", id="once", expires=NOW + SECOND)
        batch = [Submission("true"), Submission("true", expires=NOW)]
        with pytest.raises(InvalidJobError, match="has passed already") as caught:
            await desk.broker.enqueue(batch, if_exists=IfExists.ERROR)
        assert caught.value.data == {"field": "expires", "index": 1}
        await desk.broker.enqueue([asked], if_exists=IfExists.RETURN)
        desk.clock.advance(2)
        (again,) = await desk.broker.enqueue([asked], if_exists=IfExists.RETURN)
        assert not again.created
        with pytest.raises(InvalidJobError):
            await desk.enqueue(run_at=NOW + 9000, expires=NOW + 8000)


@asynchronous
async def test_an_expired_job_can_be_retried(home: Home) -> None:
    """Somebody wants it all the same: its expiry is over."""
    async with a_desk(home) as desk:
        job = await desk.enqueue(expires=NOW + SECOND)
        desk.clock.advance(1)
        await desk.broker.promote()
        await desk.retry(job.id)
        assert (await desk.now(job)).expires is None
        assert (await desk.claim()).job.seq == job.seq
