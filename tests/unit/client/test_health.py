"""How bad it is: figures held against limits."""

from typing import Any

import pytest

from queuectl import health
from queuectl.health import Level
from queuectl.models import Health

GIB = 1024**3

WELL: dict[str, Any] = {
    "draining": False,
    "uptime": 60.0,
    "workers": {"active": 2, "busy": 1, "wanted": 2},
    "pending": 3,
    "processing": 1,
    "failed": 0,
    "dead": 5,
    "dead_lately": 0,
    "oldest_ready": 2.5,
    "store": {"problem": None},
    "free": 50 * GIB,
    "wal_size": 1000,
    "unstored": 0,
}
NOBODY = {"active": 0, "busy": 0, "wanted": 0}


def found(limits: Any = health.DEFAULTS, **changes: Any) -> dict[str, Level]:
    """Return what is not well."""
    facts = Health.from_wire({**WELL, **changes})
    return {f.check: f.level for f in health.judge(facts, limits) if f.level}


def test_a_queue_that_works_is_well() -> None:
    """Dead jobs of long ago, and jobs that wait for a moment, are no reason."""
    assert found() == {}


@pytest.mark.parametrize(
    ("changes", "bad"),
    [
        ({"draining": True}, {"daemon": Level.WARNING}),
        ({"store": {"problem": "disk full"}}, {"store": Level.CRITICAL}),
        ({"free": GIB - 1}, {"free": Level.WARNING}),
        ({"free": GIB}, {}),
        ({"free": 0}, {"free": Level.CRITICAL}),
        (
            {"free": None, "wal_size": None},
            {"free": Level.WARNING, "wal": Level.WARNING},
        ),
        ({"workers": NOBODY}, {"unmanned": Level.WARNING}),
        ({"workers": NOBODY, "oldest_ready": None}, {}),
        ({"workers": NOBODY, "oldest_ready": 300}, {"unmanned": Level.CRITICAL}),
        (
            {"workers": {"active": 1, "busy": 0, "wanted": 2}},
            {"missing": Level.WARNING},
        ),
        ({"oldest_ready": 3600}, {"age": Level.WARNING}),
        ({"oldest_ready": 86_400}, {"age": Level.CRITICAL}),
        ({"dead_lately": 9}, {}),
        ({"dead_lately": 10}, {"dead": Level.WARNING}),
        ({"dead_lately": 100}, {"dead": Level.CRITICAL}),
        ({"unstored": 1}, {"unstored": Level.WARNING}),
        ({"wal_size": 256 * 1024**2}, {"wal": Level.WARNING}),
        ({"wal_size": GIB}, {"wal": Level.CRITICAL}),
    ],
)
def test_each_figure_has_its_limits(
    changes: dict[str, Any], bad: dict[str, Level]
) -> None:
    """At a limit it is bad; free space when it is under it."""
    assert found(**changes) == bad


def test_what_is_not_known_is_told_by_the_store_alone() -> None:
    """Figures that did not come in time are no second complaint."""
    unknown = dict.fromkeys(
        ("pending", "processing", "failed", "dead", "dead_lately", "oldest_ready")
    )
    silent = {"problem": "it has not answered for 2 s"}
    bad = found(store=silent, free=None, wal_size=None, **unknown)
    assert bad == {"store": Level.CRITICAL}


def test_a_daemon_that_stops_needs_no_workers() -> None:
    """It begins no jobs anyhow."""
    assert found(draining=True, workers=NOBODY) == {"daemon": Level.WARNING}


def test_limits_can_be_others_or_none() -> None:
    """By name; the rest stay."""
    limits = {"age": (None, None), "free": (60 * GIB, 70 * GIB), "dead": (1, None)}
    bad = found(limits, oldest_ready=10**9, dead_lately=1)
    assert bad == {"free": Level.CRITICAL, "dead": Level.CRITICAL}


def test_the_worst_is_that_of_all() -> None:
    """And of nothing it is well."""
    facts = Health.from_wire({**WELL, "draining": True, "free": 0})
    assert health.worst(health.judge(facts)) is Level.CRITICAL
    assert health.worst([]) is Level.OK
