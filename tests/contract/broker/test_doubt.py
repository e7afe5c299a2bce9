"""A commit that may have taken place, or not: whoever waits is told all the same."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar, cast

import pytest

from helpers.asynchronous import asynchronous
from helpers.brokers import RANDOM, Desk, Interrupted, Observed
from helpers.clocks import StandingClock
from helpers.jobs import NOW
from helpers.stores import Home
from queuectl_protocol.vocabulary import JobState, Reason
from queuectld.broker import Broker
from queuectld.core.errors import JobNotFoundError
from queuectld.core.job import AttemptEnd, Job
from queuectld.store.api import OutcomeUnknownError, Store, Transaction

T = TypeVar("T")

P, R, C = JobState.PENDING, JobState.PROCESSING, JobState.COMPLETED
F, X = JobState.FAILED, JobState.CANCELLED


class Doubtful(Interrupted):
    """A store whose next write happens, and then cannot say so.

    Attributes:
        doubts: how many writes are like that.
    """

    doubts = 0

    async def write(self, work: Callable[[Transaction], T], *, weight: int = 1) -> T:
        """Write, and perhaps not know it."""
        result = await super().write(work, weight=weight)
        if self.doubts:
            self.doubts -= 1
            raise OutcomeUnknownError("nobody knows whether it was stored")
        return result


@asynccontextmanager
async def a_doubtful_desk(home: Home) -> AsyncIterator[tuple[Desk, Doubtful]]:
    """Open a broker on such a store."""
    clock = StandingClock(NOW)
    async with home.open() as store:
        doubtful = Doubtful(store)
        observed = Observed()
        broker = Broker(cast(Store, doubtful), observed, clock, lambda: RANDOM)
        await broker.open()
        yield Desk(broker, store, doubtful, clock, observed), doubtful


async def in_doubt(doubtful: Doubtful, act: Callable[[], Awaitable[object]]) -> None:
    """Do something of which nobody knows whether it happened."""
    doubtful.doubts = 1
    with pytest.raises(OutcomeUnknownError):
        await act()


@asynchronous
async def test_an_end_that_was_stored_unknown_is_announced_by_the_next_try(
    home: Home,
) -> None:
    """To whoever watches the job, and as the end that it was."""
    async with a_doubtful_desk(home) as (desk, doubtful):
        running = await desk.in_state(R)
        await in_doubt(doubtful, lambda: desk.finish(running))
        with desk.watch(running.seq) as changed:
            finished = await desk.finish(running)
            assert changed.is_set()
        assert finished.job is not None
        assert finished.job.state is C
        assert len((await desk.view(running.id)).attempts) == 1


@asynchronous
async def test_a_retry_that_was_stored_unknown_is_told_to_the_scheduler(
    home: Home,
) -> None:
    """Nobody else would ever look at the time it waits for."""
    async with a_doubtful_desk(home) as (desk, doubtful):
        running = await desk.in_state(R, max_retries=1)
        await in_doubt(doubtful, lambda: desk.finish(running, exit_code=1))
        desk.waiting.clear()
        finished = await desk.finish(running, exit_code=1)
        assert finished.job is not None
        assert finished.job.state is F
        assert desk.waiting == [finished.job.run_at]


@asynchronous
async def test_a_cancel_that_waits_hears_of_an_end_that_was_stored_unknown(
    home: Home,
) -> None:
    """It ends, and tells the job cancelled."""
    async with a_doubtful_desk(home) as (desk, doubtful):
        running = await desk.in_state(R)
        end = desk.end_of(await desk.cancel(running.id))
        await in_doubt(doubtful, lambda: desk.finish(running, Reason.CANCELLED))
        await desk.finish(running, Reason.CANCELLED)
        job = await end
        assert isinstance(job, Job)
        assert job.state is X


@asynchronous
async def test_a_cancel_that_waits_hears_of_a_job_that_was_forgotten(
    home: Home,
) -> None:
    """Its end was stored unknown, and somebody deleted the job before the next try."""
    async with a_doubtful_desk(home) as (desk, doubtful):
        running = await desk.in_state(R)
        end = desk.end_of(await desk.cancel(running.id))
        await in_doubt(doubtful, lambda: desk.finish(running, Reason.CANCELLED))
        assert await desk.delete([await desk.now(running)])
        assert (await desk.finish(running, Reason.CANCELLED)).job is None
        assert isinstance(await end, JobNotFoundError)


@asynchronous
async def test_whatever_is_stored_unknown_makes_all_look(home: Home) -> None:
    """Watchers, for it may be their job's end; the scheduler, for a job may wait."""
    async with a_doubtful_desk(home) as (desk, doubtful):
        job = await desk.enqueue()
        with desk.watch(job.seq) as changed:
            await in_doubt(doubtful, lambda: desk.cancel(job.id))
            assert changed.is_set()
        assert desk.observed.doubts == 1
        assert (await desk.now(job)).state is X


@asynchronous
async def test_a_cancelled_attempt_is_waited_for_and_not_what_comes_after(
    home: Home,
) -> None:
    """A retry in the same instant is another attempt's affair."""
    async with a_doubtful_desk(home) as (desk, _):
        running = await desk.in_state(R)
        end = desk.end_of(await desk.cancel(running.id))
        other = desk.end_of(await desk.cancel(running.id))
        finishing = asyncio.create_task(desk.finish(running, Reason.CANCELLED))
        await finishing
        await desk.retry(running.id)
        for job in (await end, await other):
            assert isinstance(job, Job)
            assert job.state is X
        assert (await desk.now(running)).state is P


@asynchronous
async def test_an_attempt_that_nobody_waits_for_leaves_nothing_behind(
    home: Home,
) -> None:
    """Whether it was cancelled, or its end was in doubt."""
    async with a_doubtful_desk(home) as (desk, doubtful):
        running = await desk.in_state(R)
        await desk.cancel(running.id)
        end = AttemptEnd(running.lease or 0, NOW, NOW, Reason.CANCELLED)
        await in_doubt(doubtful, lambda: desk.broker.finish(running.seq, end))
        await desk.broker.finish(running.seq, end)
        assert desk.broker.events._cancelled == {}
        assert desk.broker._unsure == set()
