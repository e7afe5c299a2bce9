"""Enqueueing with an id that is taken: the same job, a conflict, or a refusal."""

from typing import Any

import pytest

from helpers.asynchronous import asynchronous
from helpers.brokers import a_desk
from helpers.enqueueing import FULL, add
from helpers.stores import Home, everything
from queuectl_protocol.vocabulary import JobState
from queuectld.core.errors import (
    JobConflictError,
    JobExistsError,
    JobTakenError,
)
from queuectld.core.job import Job, Submission
from queuectld.core.limits import Limits
from queuectld.core.submission_fields import GIVEN, IDENTITY
from queuectld.operations.enqueue import Enqueued, IfExists


@pytest.mark.parametrize("state", JobState)
@asynchronous
async def test_asking_again_returns_the_job_that_is_there(
    home: Home, state: JobState
) -> None:
    """As it is, in whatever state: a lost answer can be asked for again."""
    async with a_desk(home) as desk:
        retries = int(state is JobState.FAILED)
        there = await desk.in_state(state, id="once", max_retries=retries)
        assert there.state is state
        again = Submission("true", id="once")
        assert await add(desk, again, if_exists=IfExists.RETURN) == [
            Enqueued(there, created=False)
        ]
        assert await everything(desk.store) == [there]
        with pytest.raises(JobExistsError):
            await add(desk, again)


@asynchronous
async def test_asking_again_within_a_batch(home: Home) -> None:
    """The second of two that are the same is the first; those around are new."""
    async with a_desk(home) as desk:
        batch = [Submission("a"), FULL, FULL, Submission("a")]
        done = await add(desk, *batch, if_exists=IfExists.RETURN)
        assert [enqueued.created for enqueued in done] == [True, True, False, True]
        assert done[1].job == done[2].job
        assert len(await everything(desk.store)) == 3


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("command", ("cp", "a", "c")),
        ("command", "cp a b"),
        ("priority", 0),
        ("max_retries", 3),
        ("timeout", 61),
        ("backoff_base", 2),
        ("backoff_max", 91),
        ("backoff_jitter", 0.1),
        ("output_limit", 0),
        ("label", ""),
    ],
)
@asynchronous
async def test_asking_for_something_else_is_a_conflict(
    home: Home, field: str, value: Any
) -> None:
    """The error names what differs; nothing is added, nothing changed."""
    async with a_desk(home) as desk:
        ((there, _),) = [(e.job, e.created) for e in await add(desk, FULL)]
        changes: dict[str, Any] = {field: value}
        other = FULL._replace(**changes)
        with pytest.raises(JobConflictError, match=f"its {field} is different") as bad:
            await add(desk, Submission("x"), other, if_exists=IfExists.RETURN)
        assert bad.value.data == {"id": "nightly", "index": 1}
        assert await everything(desk.store) == [there]


@asynchronous
async def test_what_a_caller_inherits_is_no_conflict(home: Home) -> None:
    """The same job may be asked for from elsewhere, by somebody else, later."""
    elsewhere = FULL._replace(
        run_at=None, cwd="/", umask=None, env={"B": "2"}, submitter=0
    )
    async with a_desk(home) as desk:
        (first,) = await add(desk, FULL)
        (again,) = await add(desk, elsewhere, if_exists=IfExists.RETURN)
        assert again == Enqueued(first.job, created=False)


@asynchronous
async def test_what_is_not_said_is_no_conflict(home: Home) -> None:
    """Only what the second submission says must be the same."""
    async with a_desk(home) as desk:
        (first,) = await add(desk, FULL)
        less = Submission(FULL.command, id="nightly")
        (again,) = await add(desk, less, if_exists=IfExists.RETURN)
        assert again == Enqueued(first.job, created=False)


@asynchronous
async def test_what_came_from_a_setting_is_as_if_it_was_given(home: Home) -> None:
    """Also when the setting has changed: it is the job's value that counts."""
    plain = Submission("true", id="plain")
    async with a_desk(home) as desk:
        (first,) = await add(desk, plain)
        await desk.broker.set_setting("max_retries", 7)
        for same in (plain, plain._replace(max_retries=3, priority=0)):
            (again,) = await add(desk, same, if_exists=IfExists.RETURN)
            assert again == Enqueued(first.job, created=False)
        for other in (plain._replace(max_retries=7), plain._replace(priority=1)):
            with pytest.raises(JobConflictError):
                await add(desk, other, if_exists=IfExists.RETURN)


@asynchronous
async def test_the_usual_shell_is_one_that_can_be_said(home: Home) -> None:
    """A job that has it, said or unsaid, is not one that has another."""
    async with a_desk(home) as desk:
        usual = Submission("true", id="shell")
        await add(desk, usual)
        await add(desk, usual._replace(shell="/bin/sh"), if_exists=IfExists.RETURN)
        with pytest.raises(JobConflictError, match="shell"):
            await add(desk, usual._replace(shell="/bin/zsh"), if_exists=IfExists.RETURN)
        await desk.broker.set_setting("shell", "/bin/bash")
        other = Submission("true", id="other")
        (made,) = await add(desk, other)
        assert made.job.shell == "/bin/bash"
        await add(desk, other, if_exists=IfExists.RETURN)
        with pytest.raises(JobConflictError, match="shell"):
            await add(desk, other._replace(shell="/bin/sh"), if_exists=IfExists.RETURN)
        (words,) = await add(desk, Submission(("true",)))
        assert words.job.shell is None


def test_what_is_compared_is_what_a_job_is() -> None:
    """Said a second time: a field that is added is compared, or this test says not."""
    inherited = {
        "id",
        "run_at",
        "delay",
        "cwd",
        "umask",
        "env",
        "foreground",
        "expires",
        "expires_in",
    }
    assert {*IDENTITY} == {*GIVEN} - inherited
    assert {*IDENTITY} <= {*Job._fields, *Limits._fields}


ALICE = Submission("true", id="nightly", submitter=1000, groups=(1000,))


@asynchronous
@pytest.mark.parametrize(
    "bob",
    [
        ALICE._replace(submitter=1001),
        ALICE._replace(submitter=1001, command="false"),
        ALICE._replace(submitter=0, groups=(0,)),
        ALICE._replace(submitter=1001, groups=None),
    ],
)
async def test_a_job_that_runs_as_another_is_another(
    home: Home, bob: Submission
) -> None:
    """Nothing of it is told: not even whether it is like the one that was asked for."""
    said = "the id 'nightly' is taken by a job of another user"
    async with a_desk(home) as desk:
        await add(desk, ALICE)
        with pytest.raises(JobTakenError, match=said) as bad:
            await add(desk, bob, if_exists=IfExists.RETURN)
        assert bad.value.data == {"id": "nightly", "index": 0}
        with pytest.raises(JobExistsError, match="a job of another user") as there:
            await add(desk, bob)
        assert "if_exists" not in str(there.value)
        (again,) = await add(desk, ALICE, if_exists=IfExists.RETURN)
        assert not again.created


@asynchronous
async def test_a_job_from_before_jobs_ran_as_their_submitters_is_the_same(
    home: Home,
) -> None:
    """To who enqueued it, and to nobody else."""
    async with a_desk(home) as desk:
        await add(desk, ALICE._replace(groups=None))
        (again,) = await add(desk, ALICE, if_exists=IfExists.RETURN)
        assert not again.created
        bob = ALICE._replace(submitter=1001)
        with pytest.raises(JobTakenError):
            await add(desk, bob, if_exists=IfExists.RETURN)
