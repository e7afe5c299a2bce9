"""An attempt's end is recorded, whatever goes wrong meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from helpers.asynchronous import asynchronous
from helpers.supervised import Supervised, supervised
from queuectl_protocol.vocabulary import JobState, Reason
from queuectld.control import attempts
from queuectld.core.job import AttemptEnd, Job
from queuectld.store.api import StoreError, StoreFullError
from queuectld.workers.shared import spool

T = TypeVar("T")

ERRORS = [StoreFullError("no room"), OSError(24, "no descriptor"), ValueError("a bug")]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "RETRY", 0)


def failing(
    work: Callable[..., Awaitable[T]], *errors: Exception
) -> Callable[..., Awaitable[T]]:
    """Return what fails with these errors first, and then does its work."""
    left = list(errors)

    async def fail_or_work(*args: Any, **kwargs: Any) -> T:
        if left:
            raise left.pop(0)
        return await work(*args, **kwargs)

    return fail_or_work


def good_end(one: Supervised, job: Job) -> AttemptEnd:
    """Return the end of a successful run."""
    assert job.lease is not None
    now = one.desk.clock.now
    return AttemptEnd(job.lease, now, now, Reason.EXIT, exit_code=0)


async def reasons(one: Supervised, job: Job) -> list[Reason | None]:
    """Return why a job's attempts ended."""
    view = await one.desk.view(job.id)
    return [each.end.reason if each.end else None for each in view.attempts]


@asynchronous
async def test_a_result_is_recorded_once_after_any_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also after errors that the store does not raise: a result is never dropped."""
    async with supervised(tmp_path) as one:
        job = await one.desk.enqueue()
        assignment = await one.desk.claim()
        broker = one.desk.broker
        monkeypatch.setattr(broker, "finish", failing(broker.finish, *ERRORS))
        worker = one.busy(assignment)
        one.scheduler.attempt_finished(worker, good_end(one, assignment.job))
        await one.settled()
        assert (await one.desk.now(job)).state is JobState.COMPLETED
        assert await reasons(one, job) == [Reason.EXIT]
        assert worker.attempt is None


@asynchronous
async def test_a_dead_worker_is_settled_after_any_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until then it is not gone: a stop waits for it, and its job is not queued."""
    async with supervised(tmp_path) as one:
        job = await one.desk.enqueue()
        recovery = one.recovery
        monkeypatch.setattr(
            recovery,
            "settle_dead_worker",
            failing(recovery.settle_dead_worker, *ERRORS),
        )
        worker = one.busy(await one.desk.claim())
        one.scheduler.worker_gone(worker)
        assert not worker.gone.is_set()
        await one.settled()
        assert worker.gone.is_set()
        assert (await one.desk.now(job)).state is JobState.PENDING
        assert await reasons(one, job) == [Reason.INTERRUPTED], "it has no output"


@asynchronous
async def test_what_cannot_be_recorded_before_the_end_is_spooled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next daemon finds it where the worker would have left it."""
    monkeypatch.setattr(attempts, "CLOSE_WITHIN", 0.01)
    async with supervised(tmp_path) as one:
        await one.desk.enqueue()
        assignment = await one.desk.claim()
        job = assignment.job
        kept = good_end(one, job)
        never = asyncio.Event()

        async def hang(*_: Any, **__: Any) -> None:
            await never.wait()

        monkeypatch.setattr(one.desk.broker, "finish", hang)
        worker = one.busy(assignment)
        one.scheduler.attempt_finished(worker, kept)
        await one.scheduler.close()
        found = spool.read(str(tmp_path / "spool"), kept.lease)
        assert found is not None
        assert (found.store, found.worker) == ("store", job.worker)
        assert (found.seq, found.run, found.end) == (job.seq, job.runs, kept)


@asynchronous
async def test_a_claim_that_may_be_committed_is_looked_for(tmp_path: Path) -> None:
    """This comes before any other claim; jobs that a worker has stay as they are."""
    async with supervised(tmp_path) as one:
        known = await one.desk.enqueue()
        worker = one.busy(await one.desk.claim(1))
        one.pool.workers[worker.number] = worker
        lost = await one.desk.enqueue()
        other = replace(worker, number=2, attempt=None)

        async def nobody_knows() -> None:
            raise StoreError("nobody knows")

        one.desk.others.after_write = nobody_knows
        with pytest.raises(StoreError):
            await one.attempts.claim([other])
        assert (await one.desk.now(lost)).state is JobState.PROCESSING

        await one.turn()
        await one.settled()
        assert (await one.desk.now(lost)).state is JobState.PENDING
        assert await reasons(one, known) == [None]
        del one.pool.workers[worker.number]


@asynchronous
@pytest.mark.parametrize(
    ("outcome", "draining", "row"),
    [
        (None, False, 1),
        (Reason.TIMEOUT, False, 1),
        (Reason.INTERRUPTED, False, 0),
        (None, True, 0),
    ],
)
async def test_interruptions_are_in_a_row_unless_somebody_asked(
    tmp_path: Path, outcome: Reason | None, draining: bool, row: int
) -> None:
    """An operator asks by stopping workers or the service; a hang is not asked for."""
    async with supervised(tmp_path) as one:
        job = await one.desk.enqueue()
        assignment = await one.desk.claim()
        worker = one.busy(assignment)
        assert worker.attempt is not None
        worker.attempt.end_reason = outcome
        if draining:
            one.desired.drain()
        end = good_end(one, assignment.job)
        end = end._replace(reason=Reason.INTERRUPTED, exit_code=None)
        one.scheduler.attempt_finished(worker, end)
        await one.settled()
        assert (await one.desk.now(job)).losses == row
