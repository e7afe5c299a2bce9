"""The judgement of doctor's checks; what they read is tested elsewhere."""

import pytest

from queuectld.server.health import checks
from queuectld.server.health.checks import WAL_LARGE, Level


@pytest.mark.parametrize(
    ("version", "faulty"),
    [
        ("3.6.23", False),
        ("3.7.0", True),
        ("3.40.1", True),
        ("3.44.5", True),
        ("3.44.6", False),
        ("3.45.0", True),
        ("3.50.6", True),
        ("3.50.7", False),
        ("3.51.2", True),
        ("3.51.3", False),
        ("3.52.0", False),
    ],
)
def test_the_wal_reset_bug_is_known_by_version(version: str, *, faulty: bool) -> None:
    """The fixed versions and the two backports are told from those around them."""
    assert checks.has_wal_reset_bug(version) is faulty


def test_a_bug_that_cannot_strike_is_no_alarm() -> None:
    """The check is OK, and names the bug and why it does no harm."""
    check = checks.sqlite("3.40.1")
    assert check.level is Level.OK
    assert "WAL-reset bug" in check.detail
    assert check.advice is not None


@pytest.mark.parametrize(
    ("active", "waiting", "level"),
    [
        (0, 0, Level.OK),
        (2, 0, Level.OK),
        (2, 5, Level.OK),
        (0, 5, Level.WARNING),
    ],
)
def test_jobs_that_wait_for_nobody_are_worth_a_warning(
    active: int, waiting: int, level: Level
) -> None:
    """The advice is the command that starts workers."""
    check = checks.workers(active, waiting)
    assert check.level is level
    assert (check.advice is None) == (level is Level.OK)


def test_a_log_that_is_never_emptied_is_worth_a_warning() -> None:
    """A large write-ahead log means that checkpoints do not get through."""
    assert checks.wal(WAL_LARGE - 1).level is Level.OK
    assert checks.wal(WAL_LARGE).level is Level.WARNING
