"""Whose job it is: asked in the same snapshot as what is done to it."""

import pytest

from helpers.asynchronous import asynchronous
from helpers.brokers import a_desk
from helpers.stores import Home
from queuectl_protocol.vocabulary import JobState
from queuectld.core.errors import JobNotFoundError, JobNotYoursError, JobStateError

ALICE, BOB = 1000, 1001


@asynchronous
@pytest.mark.parametrize("submitter", [ALICE, None])
async def test_a_job_of_somebody_else_is_not_touched(
    home: Home, submitter: int | None
) -> None:
    """Nor is one of nobody known; and whoever did it is named to nobody."""
    async with a_desk(home) as desk:
        job = await desk.in_state(JobState.DEAD, submitter=submitter, env={"A": "1"})
        for act in (desk.cancel, desk.retry, desk.view):
            with pytest.raises(JobNotYoursError, match=f"job {job.id} ") as refused:
                await act(job.id, confined_to=BOB)
            assert refused.value.data == {"id": job.id, "role": "operate"}
            with pytest.raises(JobNotFoundError):
                await act("nobody", confined_to=BOB)
        assert await desk.now(job) == job


@asynchronous
async def test_one_of_ones_own_is_as_if_nobody_had_asked(home: Home) -> None:
    """The other guards are kept beside it."""
    async with a_desk(home) as desk:
        job = await desk.in_state(JobState.DEAD, submitter=ALICE)
        assert (await desk.view(job.id, confined_to=ALICE)).job == job
        with pytest.raises(JobStateError):
            await desk.retry(job.id, JobState.FAILED, ALICE)
        retried = await desk.retry(job.id, JobState.DEAD, ALICE)
        assert retried.state is JobState.PENDING
        cancelled = await desk.cancel(job.id, confined_to=ALICE)
        assert cancelled.state is JobState.CANCELLED


@asynchronous
async def test_root_is_a_user_like_others(home: Home) -> None:
    """Uid 0 is somebody: a broker knows no roles."""
    async with a_desk(home) as desk:
        job = await desk.in_state(JobState.DEAD, submitter=ALICE)
        with pytest.raises(JobNotYoursError):
            await desk.retry(job.id, confined_to=0)
