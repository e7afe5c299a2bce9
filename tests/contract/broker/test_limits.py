"""Limits that cannot be enforced are refused before anybody relies on them."""

from typing import Any

import pytest

from helpers.asynchronous import asynchronous
from helpers.brokers import a_desk
from helpers.stores import Home, everything
from queuectld.core.errors import (
    InvalidJobError,
    InvalidSettingError,
    JobConflictError,
)
from queuectld.core.job import Submission
from queuectld.core.limits import NONE, Limits, Means
from queuectld.operations.enqueue import IfExists

MEANS = Means(
    controllers=frozenset({"memory"}),
    missing="the box has no such thing",
    lowest_nice=0,
    ceilings={"nofile": 1024},
)


@pytest.mark.parametrize(
    ("asked", "field", "words"),
    [
        ({"cpu_quota": 50}, "cpu_quota", "cannot be enforced: the box has no such"),
        ({"tasks_max": 8}, "tasks_max", "cannot be enforced: the box has no such"),
        ({"nice": -1}, "nice", "nice -1 cannot be set"),
        ({"rlimits": (("nofile", 1025),)}, "rlimits", "hard limit is 1024"),
        ({"rlimits": (("nofile", -1),)}, "rlimits", "nofile of infinity cannot be set"),
    ],
)
@asynchronous
async def test_a_job_that_cannot_be_limited_so_is_refused(
    home: Home, asked: dict[str, Any], field: str, words: str
) -> None:
    """By field and place in its batch, and nothing of the batch is there."""
    async with a_desk(home) as desk:
        desk.broker.means = MEANS
        batch = [Submission("a"), Submission("b", **asked), Submission("c")]
        with pytest.raises(InvalidJobError, match=words) as caught:
            await desk.broker.enqueue(batch, if_exists=IfExists.ERROR)
        assert caught.value.data == {"field": field, "index": 1}
        assert str(caught.value).startswith(field)
        assert await everything(desk.store) == []


@pytest.mark.parametrize(
    ("asked", "limits"),
    [
        ({}, NONE),
        ({"cpu_quota": 0, "tasks_max": 0, "nice": 0, "rlimits": ()}, NONE),
        ({"memory_max": 1 << 30}, Limits(memory_max=1 << 30)),
        ({"nice": 19}, Limits(nice=19)),
        (
            {"rlimits": (("core", -1), ("nofile", 1024))},
            Limits(rlimits=(("core", -1), ("nofile", 1024))),
        ),
    ],
)
@asynchronous
async def test_what_can_be_enforced_is_taken(
    home: Home, asked: dict[str, Any], limits: Limits
) -> None:
    """And kept with the job, over all its runs."""
    async with a_desk(home) as desk:
        desk.broker.means = MEANS
        job = await desk.enqueue(**asked)
        assert job.limits == limits
        assert (await desk.now(await desk.run(exit_code=1))).limits == limits


@asynchronous
async def test_a_daemon_that_knows_no_means_has_none(home: Home) -> None:
    """Until it is told what there is, nothing is promised."""
    async with a_desk(home) as desk:
        with pytest.raises(InvalidJobError, match="no cgroup of its own; rlimits can"):
            await desk.enqueue(memory_max=1 << 30)
        assert (await desk.enqueue(nice=5)).limits.nice == 5


@asynchronous
async def test_a_default_that_cannot_be_enforced_is_refused(home: Home) -> None:
    """The value in force stays; what can be enforced, and 0, is taken."""
    async with a_desk(home) as desk:
        desk.broker.means = MEANS
        for key, value in (("cpu_quota", 50), ("tasks-max", "8"), ("nice", -1)):
            with pytest.raises(InvalidSettingError, match=r"cannot be (enforced|set)"):
                await desk.broker.set_setting(key, value)
            await desk.broker.set_setting(key, 0)
        await desk.broker.set_setting("memory_max", "1GiB")
        assert desk.broker.settings.limits == Limits(memory_max=1 << 30)
        assert (await desk.enqueue()).limits == Limits(memory_max=1 << 30)
        await desk.broker.set_setting("memory_max", None)
        assert desk.broker.settings.limits is NONE


@asynchronous
async def test_a_default_that_can_be_enforced_no_more_is_refused_with_the_job(
    home: Home,
) -> None:
    """As after a restart without cgroups; a job can do without it by saying 0."""
    async with a_desk(home) as desk:
        desk.broker.means = MEANS
        await desk.broker.set_setting("memory_max", "1GiB")
    async with a_desk(home) as desk:
        with pytest.raises(InvalidJobError, match="config unset memory_max") as caught:
            await desk.enqueue()
        assert caught.value.field == "memory_max"
        with pytest.raises(InvalidJobError) as caught:
            await desk.enqueue(memory_max=1 << 20)
        assert "config" not in str(caught.value)
        assert (await desk.enqueue(memory_max=0)).limits is NONE
        await desk.broker.set_setting("memory_max", 0)
        assert (await desk.enqueue()).limits is NONE


@asynchronous
async def test_asking_again_for_a_job_that_is_there_is_no_refusal(home: Home) -> None:
    """Whether it could be had today does not matter: it was taken."""
    async with a_desk(home) as desk:
        desk.broker.means = MEANS
        again = Submission("true", id="once", memory_max=1 << 30)
        await desk.broker.enqueue([again], if_exists=IfExists.ERROR)
        desk.broker.means = Means()
        (done,) = await desk.broker.enqueue([again], if_exists=IfExists.RETURN)
        assert not done.created


FULL = Submission("true", "once", nice=5, memory_max=1 << 30, rlimits=(("core", 0),))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("nice", 0),
        ("memory_max", 1 << 29),
        ("cpu_quota", 10),
        ("tasks_max", 1),
        ("rlimits", ()),
        ("rlimits", (("core", -1),)),
    ],
)
@asynchronous
async def test_other_limits_make_another_job(
    home: Home, field: str, value: Any
) -> None:
    """With one id that is a conflict; what is not said, or is the same, is none."""
    async with a_desk(home) as desk:
        desk.broker.means = MEANS
        await desk.broker.enqueue([FULL], if_exists=IfExists.ERROR)
        same = [FULL, Submission("true", "once", cpu_quota=0, nice=5)]
        done = await desk.broker.enqueue(same, if_exists=IfExists.RETURN)
        assert [each.created for each in done] == [False, False]
        changes: dict[str, Any] = {field: value}
        with pytest.raises(JobConflictError, match=f"its {field} is different"):
            await desk.broker.enqueue(
                [FULL._replace(**changes)], if_exists=IfExists.RETURN
            )
