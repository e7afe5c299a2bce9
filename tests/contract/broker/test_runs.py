"""What goes through the broker while jobs run: claims, ends, times, mass retries."""

import pytest

from helpers.asynchronous import asynchronous
from helpers.brokers import Desk, a_desk
from helpers.jobs import NOW
from helpers.stores import Home, everything
from queuectl_protocol.vocabulary import JobState, Reason
from queuectld.core import lifecycle
from queuectld.core.errors import JobNotFoundError, JobStateError
from queuectld.core.job import Attempt
from queuectld.operations import lookups, promote, retry_all


@asynchronous
async def test_each_worker_gets_one_job_in_order(home: Home) -> None:
    """The best job to the first worker; those without a job get nothing."""
    async with a_desk(home) as desk:
        low, high = await desk.enqueue(), await desk.enqueue(priority=1)
        claimed = await desk.broker.claim([7, 5, 9])
        assert [a.job.id for a in claimed] == [high.id, low.id]
        assert [a.job.worker for a in claimed] == [7, 5]
        assert claimed[0].lease < claimed[1].lease
        assert await desk.broker.claim([9]) == []
        assert await desk.running() == [
            claimed[1].job,
            claimed[0].job,
        ]


@asynchronous
async def test_an_assignment_has_the_environment(home: Home) -> None:
    """With the key that names its content; a minimal one has neither."""
    async with a_desk(home) as desk:
        await desk.enqueue(env={"A": "1"})
        await desk.enqueue(env={"A": "1"})
        await desk.enqueue()
        await desk.enqueue(env={})
        one, same, minimal, empty = await desk.broker.claim([1, 2, 3, 4])
        assert (one.env, one.env_key) == (same.env, same.env_key)
        assert one.env == {"A": "1"}
        assert (minimal.env, minimal.env_key) == (None, None)
        assert empty.env == {}
        assert empty.env_key not in (None, one.env_key)


@asynchronous
async def test_a_finish_takes_the_next_job_along(home: Home) -> None:
    """For the same worker, in one step; a refused result takes one along too."""
    async with a_desk(home) as desk:
        for _ in range(3):
            await desk.enqueue()
        first = (await desk.claim(worker=4)).job
        done = await desk.finish(first, next_for=4)
        assert done.job is not None
        assert done.job.state is JobState.COMPLETED
        assert done.next is not None
        assert (done.next.job.seq, done.next.job.worker) == (2, 4)
        late = await desk.finish(first, next_for=4)
        assert late.job is None
        assert late.next is not None
        assert late.next.job.seq == 3
        last = await desk.finish(done.next.job, next_for=4)
        assert last.next is None


@pytest.mark.parametrize("reason", [Reason.EXIT, *lifecycle.END_EVENT])
@asynchronous
async def test_a_late_result_changes_nothing(home: Home, reason: Reason) -> None:
    """The first attempt's end, when the second one runs already."""
    async with a_desk(home) as desk:
        await desk.enqueue()
        first = (await desk.claim()).job
        await desk.finish(first, Reason.LOST)
        second = (await desk.claim()).job
        refused = await desk.finish(first, reason)
        assert (refused.job, refused.next) == (None, None)
        assert await desk.now(second) == second
        assert (await desk.broker.stats(None)).run.count == 1
        assert (await desk.finish(second)).job is not None
        assert (await desk.finish(second)).job is None
        attempts = (await desk.view(second.id)).attempts
        assert [a.end and a.end.reason for a in attempts] == [Reason.LOST, Reason.EXIT]


@asynchronous
async def test_a_view_has_all_attempts(home: Home) -> None:
    """Oldest first, over manual retries; the running one last, without an end."""
    async with a_desk(home) as desk:
        job = await desk.enqueue(max_retries=0, env={"A": "1"})
        await desk.run(exit_code=1)
        await desk.retry(job.id)
        desk.clock.advance(5)
        running = (await desk.claim(worker=9)).job
        view = await desk.view(job.id)
        assert view.job == running
        assert view.env is None
        assert [a.run for a in view.attempts] == [1, 2]
        assert view.attempts[0].end is not None
        assert view.attempts[0].end.exit_code == 1
        assert running.lease is not None
        assert view.attempts[1] == Attempt(2, running.lease, 9, NOW + 5000, None)
        assert (await desk.view(job.id, env=True)).env == {"A": "1"}
        bare = await desk.enqueue()
        assert (await desk.view(bare.id, env=True)).env is None


@asynchronous
async def test_an_attempt_that_never_began_has_the_time_of_its_claim(
    home: Home,
) -> None:
    """So that a record has a begin, whoever wrote it."""
    async with a_desk(home) as desk:
        job = await desk.in_state(JobState.PROCESSING)
        desk.clock.advance(3)
        await desk.finish(job, Reason.INTERRUPTED, started_at=None)
        (attempt,) = (await desk.view(job.id)).attempts
        assert (attempt.started_at, attempt.end and attempt.end.finished_at) == (
            NOW,
            NOW + 3000,
        )


@asynchronous
async def test_a_guard_on_the_state_is_kept(home: Home) -> None:
    """``if_state`` is compared where the change is made; nobody is an error."""
    async with a_desk(home) as desk:
        job = await desk.in_state(JobState.PROCESSING)
        for act in (desk.cancel, desk.retry):
            with pytest.raises(JobStateError, match="is processing, not failed"):
                await act(job.id, JobState.FAILED)
            with pytest.raises(JobNotFoundError, match="nobody"):
                await act("nobody", JobState.FAILED)
        assert await desk.now(job) == job
        marked = await desk.cancel(job.id, JobState.PROCESSING)
        assert marked.cancel_requested
        assert await desk.cancel(job.id, JobState.PROCESSING) == marked


@asynchronous
async def test_times_come_in_bounded_numbers(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Promotion says when to come again, which may be at once."""
    monkeypatch.setattr(promote, "CHUNK", 3)
    async with a_desk(home) as desk:
        assert await desk.broker.promote() is None
        for wait in (5, 1, 2, 3, 4, 900):
            await desk.enqueue(run_at=NOW + wait * 1000)
        assert await desk.broker.promote() == NOW + 1000
        desk.clock.advance(5)
        assert await desk.broker.promote() == NOW + 4000
        assert await desk.broker.promote() == NOW + 900_000
        assert (
            await desk.store.read(lambda reader: reader.next_run_at()) == NOW + 900_000
        )
        assert len(await desk.broker.claim(range(10))) == 5


@asynchronous
async def test_numbers_of_workers_are_never_used_again(home: Home) -> None:
    """Not after a restart either."""
    async with a_desk(home) as desk:
        assert await desk.number_workers(3) == [
            1,
            2,
            3,
        ]
        store_id = desk.broker.store_id
        await desk.set_meta("workers_wanted", "4")
    async with a_desk(home) as desk:
        assert await desk.number_workers(2) == [4, 5]
        assert desk.broker.store_id == store_id
        assert len(store_id) == 36
        assert await desk.broker.read(lookups.meta, "workers_wanted") == "4"


# -- retry_all -------------------------------------------------------------------------


async def dead(desk: Desk, count: int) -> list[int]:
    """Fill the dead letter queue."""
    return [(await desk.in_state(JobState.DEAD)).seq for _ in range(count)]


async def states(desk: Desk) -> list[JobState]:
    return [job.state for job in await everything(desk.store)]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 7])
@asynchronous
async def test_a_mass_retry_goes_in_bounded_steps(
    home: Home, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """All that are in the state, not so many in a unit that others wait for long."""
    monkeypatch.setattr(retry_all, "CHUNK", 2)
    async with a_desk(home) as desk:
        await dead(desk, count)
        done = await desk.in_state(JobState.COMPLETED)
        before = desk.others.writes
        assert await desk.broker.retry_all(JobState.DEAD) == (count, 0)
        assert count / 2 <= desk.others.writes - before <= count / 2 + 1
        assert await states(desk) == [JobState.PENDING] * count + [done.state]


@pytest.mark.parametrize(
    ("foreground", "retried"), [(None, "fgf"), (True, "f"), (False, "g")]
)
@asynchronous
async def test_a_mass_retry_can_leave_out_what_was_in_the_foreground(
    home: Home, foreground: bool | None, retried: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or take nothing else; in steps, of which one may have nothing to do."""
    monkeypatch.setattr(retry_all, "CHUNK", 1)
    async with a_desk(home) as desk:
        for mark in "fgf":
            await desk.in_state(JobState.DEAD, foreground=mark == "f")
        count = 3 if foreground is None else 2 if foreground else 1
        done = await desk.broker.retry_all(JobState.DEAD, foreground=foreground)
        assert done == (count, 3 - count)
        pending = [
            "f" if job.foreground else "g"
            for job in await everything(desk.store)
            if job.state is JobState.PENDING
        ]
        assert set(pending) == set(retried)
        assert len(pending) == count


@asynchronous
async def test_one_certain_job_is_claimed_if_it_is_ready(home: Home) -> None:
    """Whatever is before it; and no other in its place."""
    async with a_desk(home) as desk:
        first, second = [await desk.in_state(JobState.PENDING) for _ in range(2)]
        writes = desk.others.writes
        (claimed,) = await desk.broker.claim_job(second.seq, 7)
        assert (claimed.job.seq, claimed.job.worker) == (second.seq, 7)
        assert await desk.broker.claim_job(second.seq, 8) == []
        assert await desk.broker.claim_job(999, 8) == []
        assert desk.others.writes == writes + 1
        assert (await desk.broker.job(first.id)).state is JobState.PENDING


@asynchronous
async def test_a_mass_retry_meets_no_job_twice_and_leaves_none_out(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though each one that was retried dies again before the next step."""
    monkeypatch.setattr(retry_all, "CHUNK", 2)
    async with a_desk(home) as desk:

        async def die_again() -> None:
            while await desk.broker.claim([1]):
                (running,) = await desk.running()
                await desk.finish(running, exit_code=1)

        await dead(desk, 7)
        desk.others.after_write = die_again
        assert await desk.broker.retry_all(JobState.DEAD) == (7, 0)
        desk.others.after_write = None
        jobs = await everything(desk.store)
        assert [(job.state, job.runs) for job in jobs] == [(JobState.DEAD, 2)] * 7


@asynchronous
async def test_a_mass_retry_leaves_newcomers(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends, though jobs enter the state as fast as they are taken out."""
    monkeypatch.setattr(retry_all, "CHUNK", 2)
    async with a_desk(home) as desk:

        async def cancel_more() -> None:
            for _ in range(3):
                await desk.cancel((await desk.enqueue()).id)

        for _ in range(5):
            await desk.in_state(JobState.CANCELLED)
        desk.others.after_write = cancel_more
        assert await desk.broker.retry_all(JobState.CANCELLED) == (5, 0)
        desk.others.after_write = None
        assert (await desk.broker.read(lookups.counts))[JobState.PENDING] == 5
