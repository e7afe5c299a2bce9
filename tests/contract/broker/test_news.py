"""Who hears of what: watchers of each change, the scheduler of each waiting job."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack

import pytest

from helpers.asynchronous import asynchronous
from helpers.brokers import Desk, a_desk
from helpers.jobs import NOW
from helpers.sqlite import held
from helpers.stores import Home
from queuectl_protocol.vocabulary import JobState, Reason
from queuectld.core.errors import QueueError
from queuectld.core.job import Job, Submission
from queuectld.operations.enqueue import IfExists

Act = Callable[[Desk, Job], Awaitable[object]]


async def claim(desk: Desk, _job: Job) -> None:
    await desk.claim()


async def succeed(desk: Desk, job: Job) -> None:
    await desk.finish(job)


async def fail(desk: Desk, job: Job) -> None:
    await desk.finish(job, exit_code=1)


async def lose(desk: Desk, job: Job) -> None:
    await desk.finish(job, Reason.LOST)


async def interrupt(desk: Desk, job: Job) -> None:
    await desk.finish(job, Reason.INTERRUPTED)


async def cancel(desk: Desk, job: Job) -> None:
    await desk.cancel(job.id)


async def retry(desk: Desk, job: Job) -> None:
    await desk.retry(job.id)


async def retry_all(desk: Desk, job: Job) -> None:
    await desk.broker.retry_all(job.state)


P, R, C = JobState.PENDING, JobState.PROCESSING, JobState.COMPLETED
F, D, X = JobState.FAILED, JobState.DEAD, JobState.CANCELLED
RETRY_AT = NOW + 2100
"""2 ** 1 seconds, and half of the tenth that the jitter may add."""

CHANGES: list[tuple[JobState, Act, int, list[int | None]]] = [
    (P, claim, 0, []),
    (R, succeed, 0, []),
    (R, fail, 0, []),
    (R, fail, 1, [RETRY_AT]),
    (R, lose, 1, [None]),
    (R, interrupt, 0, [None]),
    (P, cancel, 0, []),
    (F, cancel, 1, []),
    (R, cancel, 0, []),
    (D, retry, 0, [None]),
    (X, retry, 0, [None]),
    (C, retry, 0, [None]),
    (F, retry, 1, [None]),
    (D, retry_all, 0, [None]),
    (F, retry_all, 1, [None]),
]
"""State, what is done, retries, and what the scheduler hears."""


@pytest.mark.parametrize(("state", "act", "retries", "waiting"), CHANGES)
@asynchronous
async def test_every_change_is_announced(
    home: Home, state: JobState, act: Act, retries: int, waiting: list[int | None]
) -> None:
    """To all who watch the job and to nobody else; a waiting job to the scheduler."""
    async with a_desk(home) as desk:
        bystander = await desk.enqueue()
        await desk.cancel(bystander.id)
        job = await desk.in_state(state, max_retries=retries)
        desk.waiting.clear()
        with ExitStack() as stack:
            events = [stack.enter_context(desk.watch(job.seq)) for _ in "ab"]
            other = stack.enter_context(desk.watch(bystander.seq))
            await act(desk, job)
            assert await desk.now(job) != job
            assert all(event.is_set() for event in events)
            assert not other.is_set()
        assert desk.waiting == waiting


@asynchronous
async def test_the_job_that_comes_next_is_announced_too(home: Home) -> None:
    """A finish and the claim that goes with it are two changes."""
    async with a_desk(home) as desk:
        first, second = await desk.enqueue(), await desk.enqueue()
        running = (await desk.claim()).job
        with (
            desk.watch(first.seq) as one,
            desk.watch(second.seq) as two,
        ):
            finished = await desk.finish(running, next_for=1)
            assert finished.next is not None
            assert one.is_set()
            assert two.is_set()


@asynchronous
async def test_a_refusal_is_no_news(home: Home) -> None:
    """What did not happen is not announced."""
    async with a_desk(home) as desk:
        job = await desk.in_state(C)
        with desk.watch(job.seq) as changed:
            for act in (desk.cancel, desk.retry):
                with pytest.raises(QueueError):
                    await act(job.id, P)
            assert not changed.is_set()


@asynchronous
async def test_a_late_result_is_no_news(home: Home) -> None:
    """It was refused: nothing changed."""
    async with a_desk(home) as desk:
        running = await desk.in_state(R)
        await desk.finish(running)
        with desk.watch(running.seq) as changed:
            assert (await desk.finish(running)).job is None
            assert not changed.is_set()


@asynchronous
async def test_news_comes_after_the_commit(home: Home) -> None:
    """Who is woken finds the change when he looks."""
    async with a_desk(home) as desk:
        job = await desk.enqueue()
        desk.waiting.clear()
        with desk.watch(job.seq) as changed:
            async with held(desk.store):
                cancelling = asyncio.create_task(desk.cancel(job.id))
                adding = asyncio.create_task(desk.enqueue())
                assert (await desk.now(job)).state is P
                assert not changed.is_set()
                assert desk.waiting == []
            await changed.wait()
            assert (await desk.now(job)).state is X
            await asyncio.gather(cancelling, adding)
            assert desk.waiting == [None]


@asynchronous
async def test_a_watch_ends(home: Home) -> None:
    """Whoever looks away is not told any more, and leaves nothing behind."""
    async with a_desk(home) as desk:
        job = await desk.enqueue()
        with desk.watch(job.seq) as stays:
            with (
                pytest.raises(ZeroDivisionError),
                desk.watch(job.seq) as goes,
            ):
                raise ZeroDivisionError
            await desk.cancel(job.id)
            assert stays.is_set()
            assert not goes.is_set()
        assert desk.broker.events._watchers == {}


@asynchronous
async def test_no_change_is_missed_between_a_look_and_a_wait(home: Home) -> None:
    """Register, look, wait: as ``wait`` does it, for a job's whole life."""

    async def states(desk: Desk, job: Job) -> list[JobState]:
        seen: list[JobState] = []
        with desk.watch(job.seq) as changed:
            while True:
                changed.clear()
                state = (await desk.now(job)).state
                if not seen or seen[-1] is not state:
                    seen.append(state)
                if state is C:
                    return seen
                await changed.wait()

    async with a_desk(home) as desk:
        job = await desk.enqueue()
        watching = [asyncio.create_task(states(desk, job)) for _ in range(5)]
        await desk.run(exit_code=1)
        await desk.retry(job.id)
        await desk.run()
        for seen in await asyncio.gather(*watching):
            assert seen[-1] is C


@asynchronous
async def test_the_scheduler_hears_of_new_jobs(home: Home) -> None:
    """None for one that can start, the time for one that cannot yet."""
    async with a_desk(home) as desk:
        batch = [
            Submission("a"),
            Submission("b", run_at=NOW + 5000),
            Submission("c", run_at=NOW - 5000),
            Submission("d", run_at=NOW),
        ]
        await desk.broker.enqueue(batch, if_exists=IfExists.ERROR)
        assert desk.waiting == [None, NOW + 5000, None, None]
