"""Limits of a job, and the refusal of those that cannot be enforced."""

from typing import Any

import pytest

from queuectld.core import limits
from queuectld.core.limits import NONE, RLIMITS, Limits, Means

ALL = Means(frozenset({"cpu", "memory", "pids"}), "", -20)


@pytest.mark.parametrize(
    "asked",
    [NONE, Limits(19, 1 << 50, 102_400, 1 << 22), Limits(nice=-20)],
    ids=["none", "the most", "the least nice"],
)
def test_nothing_is_refused_where_everything_is_there(asked: Limits) -> None:
    """With every controller, and no ceiling that binds."""
    everything = asked._replace(rlimits=tuple((name, -1) for name in RLIMITS))
    assert limits.refusal(everything, ALL) is None


def test_no_limits_need_nothing() -> None:
    """A job without any is never refused, whatever there is not."""
    assert limits.refusal(NONE, Means()) is None


@pytest.mark.parametrize(
    ("name", "controller", "instead"),
    [
        ("memory_max", "memory", "the address space of each process (as)"),
        ("cpu_quota", "cpu", "nice makes a job give way to others"),
        ("tasks_max", "pids", "the processes of the account (nproc)"),
    ],
)
def test_a_limit_needs_its_controller_alone(
    name: str, controller: str, instead: str
) -> None:
    """Without it the sentence has the name, the reason, and what else there is."""
    asked = NONE._replace(**{name: 1 << 20})
    assert limits.refusal(asked, Means(frozenset({controller}))) is None
    others = ALL._replace(
        controllers=ALL.controllers - {controller}, missing="it rains"
    )
    refused = limits.refusal(asked, others)
    assert refused is not None
    assert refused[0] == name
    assert refused[1].startswith(f"{name} cannot be enforced: it rains; ")
    assert refused[1].endswith(instead)


@pytest.mark.parametrize(
    ("rlimits", "ceilings", "refused"),
    [
        ((("nofile", 1024),), {"nofile": 1024}, None),
        ((("nofile", 1025),), {"nofile": 1024}, "nofile of 1025"),
        ((("nofile", -1),), {"nofile": 1024}, "nofile of infinity"),
        ((("nofile", -1),), {"nofile": -1}, None),
        ((("nofile", -1),), {"core": 0}, None),
        ((("core", 0), ("nofile", 7)), {"nofile": 5}, "nofile of 7"),
    ],
)
def test_a_resource_limit_stays_under_its_ceiling(
    rlimits: Any, ceilings: dict[str, int], refused: str | None
) -> None:
    """To which only root could raise it; the sentence says where that is set."""
    means = ALL._replace(ceilings=ceilings)
    found = limits.refusal(NONE._replace(rlimits=rlimits), means)
    if refused is None:
        assert found is None
        return
    assert found is not None
    assert found[1].startswith(f"rlimits: {refused} cannot be set")
    assert found[1].endswith("(systemd: LimitNOFILE=)")


def test_niceness_goes_no_lower_than_it_may() -> None:
    """The least that may be added is the first that is taken."""
    means = ALL._replace(lowest_nice=-5)
    assert limits.refusal(NONE._replace(nice=-5), means) is None
    refused = limits.refusal(NONE._replace(nice=-6), means)
    assert refused is not None
    assert refused[0] == "nice"
    assert "-5 at the least" in refused[1]


def test_limits_that_limit_nothing_are_one_object() -> None:
    """So that ``is`` tells nearly all jobs from the few that have some."""
    assert limits.shared(Limits(cpu_quota=0.0, rlimits=())) is NONE
    some = Limits(rlimits=(("core", 0),))
    assert limits.shared(some) is some
