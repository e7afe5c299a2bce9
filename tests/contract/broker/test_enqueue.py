"""How jobs are enqueued: in whole batches, up to ``max_queued``, by the settings."""

import asyncio

import pytest

from helpers.asynchronous import asynchronous
from helpers.brokers import Desk, a_desk
from helpers.enqueueing import FULL, add
from helpers.jobs import NOW
from helpers.stores import Home, everything
from queuectl_protocol.vocabulary import JobState
from queuectld.core.errors import (
    JobExistsError,
    QueueError,
    QueueFullError,
)
from queuectld.core.job import Submission
from queuectld.operations import lookups
from queuectld.operations.enqueue import Enqueued, IfExists


@asynchronous
async def test_a_batch_comes_in_as_it_was_given(home: Home) -> None:
    """In order, each job answered for, all of them there when the answer is."""
    async with a_desk(home) as desk:
        done = await add(desk, Submission("a"), FULL, Submission("c", priority=9))
        assert [enqueued.created for enqueued in done] == [True] * 3
        jobs = [enqueued.job for enqueued in done]
        assert [job.command for job in jobs] == ["a", ("cp", "a", "b"), "c"]
        assert [job.state for job in jobs] == [JobState.PENDING] * 3
        assert await everything(desk.store) == jobs
        assert await add(desk) == []


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (Submission("x", id="taken"), JobExistsError),
        (Submission("x", id="twice"), JobExistsError),
    ],
)
@asynchronous
async def test_a_batch_comes_in_whole_or_not_at_all(
    home: Home, bad: Submission, error: type[QueueError]
) -> None:
    """One bad job, also one that has the id of another of the batch: none is added."""
    async with a_desk(home) as desk:
        taken = await desk.enqueue(id="taken")
        desk.waiting.clear()
        batch = [Submission("a"), Submission("b", id="twice", env={"A": "1"}), bad]
        with pytest.raises(error) as caught:
            await add(desk, *batch, Submission("d"))
        assert caught.value.data == {"id": bad.id, "index": 2}
        assert await everything(desk.store) == [taken]
        assert (await desk.broker.read(lookups.counts))[JobState.PENDING] == 1
        assert desk.waiting == []


# -- max_queued ----------------------------------------------------------------------


async def allow(desk: Desk, queued: int) -> None:
    await desk.broker.set_setting("max_queued", queued)


@asynchronous
async def test_a_batch_fits_exactly_or_not_at_all(home: Home) -> None:
    """The limit is a number and not about one."""
    batch = [Submission("true") for _ in range(6)]
    async with a_desk(home) as desk:
        await allow(desk, 5)
        with pytest.raises(QueueFullError, match="max_queued is 5"):
            await add(desk, *batch)
        assert await everything(desk.store) == []
        assert len(await add(desk, *batch[:5])) == 5
        with pytest.raises(QueueFullError):
            await add(desk, batch[5])
        assert len(await everything(desk.store)) == 5


@asynchronous
async def test_the_limit_holds_for_requests_that_come_together(home: Home) -> None:
    """Those that are committed together see each other."""
    async with a_desk(home) as desk:
        await allow(desk, 10)
        results = await asyncio.gather(
            *(add(desk, Submission("a"), Submission("b")) for _ in range(20)),
            return_exceptions=True,
        )
        assert sum(isinstance(result, list) for result in results) == 5
        assert sum(isinstance(result, QueueFullError) for result in results) == 15
        assert len(await everything(desk.store)) == 10


@asynchronous
async def test_jobs_that_wait_count_and_no_others(home: Home) -> None:
    """Waiting for a worker, for a time or for a retry; not those that run or ended."""
    async with a_desk(home) as desk:
        for state in (JobState.COMPLETED, JobState.DEAD, JobState.CANCELLED):
            await desk.in_state(state)
        await desk.in_state(JobState.PROCESSING)
        await desk.in_state(JobState.FAILED, max_retries=1)
        await desk.enqueue(run_at=NOW + 9000)
        await allow(desk, 3)
        await desk.enqueue()
        with pytest.raises(QueueFullError):
            await desk.enqueue()
        await desk.claim()
        await desk.enqueue()


@asynchronous
async def test_a_new_limit_applies_at_once(home: Home) -> None:
    """Raised or lowered, also below what waits already: nothing is thrown out."""
    async with a_desk(home) as desk:
        first = await desk.enqueue(id="first")
        await desk.enqueue()
        await allow(desk, 1)
        with pytest.raises(QueueFullError):
            await desk.enqueue()
        # Of what is there already, a full queue still tells.
        (again,) = await add(
            desk, Submission("true", id="first"), if_exists=IfExists.RETURN
        )
        assert again == Enqueued(first, created=False)
        await allow(desk, 3)
        await desk.enqueue()
        assert len(await everything(desk.store)) == 3


# -- settings ------------------------------------------------------------------------


@asynchronous
async def test_settings_are_copied_when_a_job_comes_in(home: Home) -> None:
    """A later change is for later jobs, and outlives a restart."""
    async with a_desk(home) as desk:
        await desk.broker.set_setting("max-retries", "7")
        await desk.broker.set_setting("timeout", "5m")
        first = await desk.enqueue()
        await desk.broker.set_setting("max_retries", None)
        second = await desk.enqueue()
        assert (first.max_retries, second.max_retries) == (7, 3)
        assert (await desk.now(first)).max_retries == 7
    async with a_desk(home) as desk:
        assert desk.broker.settings.timeout == 300
        assert desk.broker.settings.max_retries == 3
        assert (await desk.enqueue()).timeout == 300


@asynchronous
async def test_a_setting_that_cannot_be_changes_nothing(home: Home) -> None:
    """The error says what is wrong; the value in force stays."""
    async with a_desk(home) as desk:
        await desk.broker.set_setting("timeout", 9)
        for key, value in (("timeout", -1), ("timeout", "soon"), ("colour", 1)):
            with pytest.raises(QueueError, match=key):
                await desk.broker.set_setting(key, value)
        assert desk.broker.settings.timeout == 9
        assert await desk.broker.read(lookups.settings) == {"timeout": 9}
