"""Finished jobs are deleted from the store, and their output from the disk."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from helpers.asynchronous import asynchronous
from helpers.brokers import Desk, a_desk
from helpers.stores import KINDS, Home, assert_counted, everything
from queuectl_protocol.vocabulary import JobState
from queuectld.control.pruning import RETENTION_STATES, Pruner
from queuectld.core.errors import JobNotFoundError
from queuectld.core.job import Job
from queuectld.operations import delete
from queuectld.store.api import StoreError
from queuectld.workers.shared import outputs

DAY = 86_400
C, X, D = JobState.COMPLETED, JobState.CANCELLED, JobState.DEAD


@dataclass
class House:
    """A queue with its output, and the pruner of both."""

    desk: Desk
    output: Path
    keeper: Pruner

    async def job(self, state: JobState = C, runs: int = 1, **fields: Any) -> Job:
        """Bring a job to its end, by so many runs that leave output."""
        job = await self.desk.in_state(state, **fields)
        for _ in range(runs - 1):
            await self.desk.retry(job.id)
            job = await self.desk.run(exit_code=int(state is D))
        for attempt in (await self.desk.view(job.id)).attempts:
            files = outputs.create(
                str(self.output), job.seq, attempt.run, attempt.lease
            )
            files.close()
        return job

    def files(self) -> list[str]:
        """Return all files of output as seq.run.suffix: the lease is left out."""
        names = [path.name.split(".") for path in self.output.rglob("*.*.*.*")]
        return sorted(f"{seq}.{run}.{suffix}" for seq, run, _, suffix in names)

    async def ids(self) -> list[str]:
        """Return the ids of the jobs that are left."""
        return [job.id for job in await everything(self.desk.store)]

    async def prune(
        self, states: Sequence[JobState] = (C, X, D), older_than: float = 0
    ) -> int:
        """Forget what ended so long ago."""
        return await self.keeper.prune(states, older_than)


@asynccontextmanager
async def a_house(folder: Path) -> AsyncIterator[House]:
    """Open a store in a folder, with a directory for output beside it."""
    output = folder / "output"
    output.mkdir()
    async with a_desk(Home(KINDS[0], folder)) as desk:
        keeper = Pruner(desk.broker, str(output), desk.clock)
        yield House(desk, output, keeper)


@asynchronous
async def test_a_job_goes_with_its_attempts_and_its_output(tmp_path: Path) -> None:
    """The files of all its runs go, no other files, and no empty directory stays."""
    async with a_house(tmp_path) as house:
        gone = await house.job(C, runs=2, id="gone")
        assert house.files() == ["1.1.err", "1.1.out", "1.2.err", "1.2.out"]
        waiting = await house.desk.enqueue()
        assert await house.prune() == 1
        assert house.files() == []
        assert list(house.output.iterdir()) == []
        assert await house.ids() == [waiting.id]
        with pytest.raises(JobNotFoundError):
            await house.desk.view("gone")
        attempts = await house.desk.store.read(lambda reader: reader.attempts(gone.seq))
        assert attempts == []
        await assert_counted(house.desk.store)
        assert await house.prune() == 0


@asynchronous
async def test_only_jobs_in_the_given_states_are_pruned(tmp_path: Path) -> None:
    """A dead job and its output stay if dead jobs are not asked for."""
    async with a_house(tmp_path) as house:
        for state in (C, X, D):
            await house.job(state)
        assert await house.prune(RETENTION_STATES) == 2
        assert await house.ids() == ["3"]
        assert house.files() == ["3.1.err", "3.1.out"]
        assert await house.prune([D]) == 1
        assert (await house.ids(), house.files()) == ([], [])


@asynchronous
async def test_only_jobs_that_ended_long_enough_ago_are_pruned(tmp_path: Path) -> None:
    """Exact to the millisecond; counted from the job's end, not its start."""
    async with a_house(tmp_path) as house:
        await house.job()
        house.desk.clock.advance(10)
        await house.job()
        house.desk.clock.advance(9.999)
        assert await house.prune(older_than=20) == 0
        house.desk.clock.advance(0.001)
        assert await house.prune(older_than=20) == 1
        assert await house.ids() == ["2"]
        assert house.files() == ["2.1.err", "2.1.out"]
        last = await house.job()
        assert await house.prune(older_than=0) == 2
        assert last.finished_at == house.desk.clock.now


# -- retention -------------------------------------------------------------------------


@asynchronous
async def test_finished_jobs_are_pruned_after_the_retention(tmp_path: Path) -> None:
    """After thirty days by default; dead jobs wait for a person to decide."""
    async with a_house(tmp_path) as house:
        for state in (C, X, D):
            await house.job(state)
        house.desk.clock.advance(30 * DAY - 1)
        assert await house.keeper.remove_old() == 0
        house.desk.clock.advance(1)
        assert await house.keeper.remove_old() == 2
        assert await house.ids() == ["3"]
        assert house.files() == ["3.1.err", "3.1.out"]
        house.desk.clock.advance(1000 * DAY)
        assert await house.keeper.remove_old() == 0


@asynchronous
async def test_jobs_that_wait_or_run_are_never_pruned(tmp_path: Path) -> None:
    """This is so at any age, and after any number of runs."""
    async with a_house(tmp_path) as house:
        again = await house.job()
        await house.desk.in_state(JobState.PROCESSING)
        await house.desk.in_state(JobState.FAILED, max_retries=1)
        await house.desk.enqueue()
        await house.desk.retry(again.id)
        house.desk.clock.advance(1000 * DAY)
        assert await house.keeper.remove_old() == 0
        assert len(await house.ids()) == 4
        assert house.files() == ["1.1.err", "1.1.out"]


@asynchronous
async def test_a_new_retention_applies_at_once(tmp_path: Path) -> None:
    """It applies to jobs that ended before it was set as well; 0 means never."""
    async with a_house(tmp_path) as house:
        await house.job()
        house.desk.clock.advance(60 * DAY)
        await house.desk.broker.set_setting("retention", 0)
        assert await house.keeper.remove_old() == 0
        await house.desk.broker.set_setting("retention", "61d")
        assert await house.keeper.remove_old() == 0
        await house.desk.broker.set_setting("retention", "59d")
        assert await house.keeper.remove_old() == 1


@pytest.mark.parametrize("retention", [0, 86_400])
@asynchronous
async def test_statistics_are_thinned_out_whatever_the_retention(
    tmp_path: Path, retention: float
) -> None:
    """A row for each minute is too much for statistics that are some days old."""
    async with a_house(tmp_path) as house:
        clock = house.desk.clock
        clock.now -= clock.now % 3_600_000
        began = clock.now
        for _ in range(5):
            await house.job()
            clock.advance(600)
        await house.desk.broker.set_setting("retention", retention)
        clock.advance(10 * DAY)

        async def completed(since: int) -> int:
            found = await house.desk.store.read(lambda reader: reader.rollup(since))
            return found["completed"].count if "completed" in found else 0

        assert await completed(began + 1_200_000) == 3
        await house.keeper.remove_old()
        assert await completed(began + 1_200_000) == 0
        assert await completed(began) == 5


# -- steps ---------------------------------------------------------------------------


@asynchronous
async def test_pruning_goes_in_bounded_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other writes go on in between: a million old jobs make no long pause."""
    monkeypatch.setattr(delete, "AT_ONCE", 2)
    async with a_house(tmp_path) as house:
        for state in (C, X, D, C, X, D, C):
            await house.job(state)
        left: list[int] = []

        async def count() -> None:
            left.append(len(await house.ids()))

        house.desk.others.after_write = count
        assert await house.prune() == 7
        assert left == [5, 3, 1, 0]
        assert house.files() == []


@asynchronous
async def test_a_job_that_is_retried_meanwhile_stays(tmp_path: Path) -> None:
    """It was chosen and then retried; the other jobs of its step are deleted."""
    async with a_house(tmp_path) as house:
        jobs = [await house.job() for _ in range(3)]

        async def want() -> None:
            if (await house.desk.now(jobs[1])).state is C:
                await house.desk.retry(jobs[1].id)

        house.desk.others.after_read = want
        assert await house.prune() == 2
        (left,) = await everything(house.desk.store)
        assert (left.id, left.state) == (jobs[1].id, JobState.PENDING)
        assert (await house.desk.run()).state is C


@asynchronous
async def test_pruning_ends_when_all_chosen_jobs_are_retried(tmp_path: Path) -> None:
    """It does not repeat for ever, not even if the clock is set back."""
    async with a_house(tmp_path) as house:
        job = await house.job(X)
        turns = 0

        async def want_and_not_want() -> None:
            nonlocal turns
            turns += 1
            assert turns < 10
            house.desk.clock.advance(-1)
            await house.desk.retry(job.id)
            await house.desk.cancel(job.id)

        house.desk.others.after_read = want_and_not_want
        assert await house.prune() == 0
        house.desk.others.after_read = None
        assert await house.ids() == [job.id]


@asynchronous
async def test_a_step_that_failed_is_done_again(tmp_path: Path) -> None:
    """If the output is gone and the store fails, the next try deletes the jobs."""
    async with a_house(tmp_path) as house:
        await house.job()

        async def fail() -> None:
            raise StoreError("a bad moment")

        house.desk.others.after_read = fail
        with pytest.raises(StoreError):
            await house.prune()
        house.desk.others.after_read = None
        assert len(await house.ids()) == 1
        for file in house.output.rglob("*.out"):
            file.unlink()
        assert await house.prune() == 1
        assert house.files() == []


@asynchronous
async def test_a_job_goes_though_its_output_cannot_be_removed(
    tmp_path: Path,
) -> None:
    """The error is logged, and pruning goes on."""
    async with a_house(tmp_path) as house:
        for _ in range(2):
            await house.job()
        stubborn = next(house.output.rglob("1.1.*.out"))
        stubborn.unlink()
        stubborn.mkdir()
        assert await house.prune() == 2
        assert await house.ids() == []
        assert stubborn.is_dir()
        assert not list(house.output.rglob("2.1.*"))
