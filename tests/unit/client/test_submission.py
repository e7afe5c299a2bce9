"""Jobs as a Python program writes them, and as the wire has them."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from queuectl.errors import CurrentDirectoryError
from queuectl.submission import NewJob, to_wire
from queuectld.core.submission_fields import GIVEN


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("command", ["cp", Path("/a b"), "c"], ["cp", "/a b", "c"]),
        ("command", "a | b", "a | b"),
        ("timeout", timedelta(minutes=2), 120.0),
        ("timeout", 0, 0),
        ("delay", timedelta(milliseconds=250), 0.25),
        ("backoff_max", timedelta(hours=1), 3600.0),
        ("run_at", datetime(2026, 12, 1, 10, tzinfo=UTC), "2026-12-01T10:00:00.000Z"),
        (
            "run_at",
            datetime(2026, 12, 1, 10, 0, 0, 500, timezone(timedelta(hours=2))),
            "2026-12-01T08:00:00.000Z",
        ),
        ("expires", datetime(2026, 12, 1, 10, tzinfo=UTC), "2026-12-01T10:00:00.000Z"),
        ("cwd", Path("/srv/x"), "/srv/x"),
        ("umask", 0o027, "0027"),
        ("umask", "0027", "0027"),
        ("priority", -5, -5),
        ("nice", -5, -5),
        ("cpu_quota", 12.5, 12.5),
        ("rlimits", MappingProxyType({"core": -1}), {"core": -1}),
    ],
)
def test_python_types_become_those_of_the_wire(
    field: str, value: Any, expected: Any
) -> None:
    """Durations, times, paths and masks are written as PROTOCOL.md has them."""
    assert to_wire({field: value}, {}) == {field: expected}


@pytest.mark.parametrize("value", [90, 90.0, timedelta(seconds=90)])
def test_an_expiry_may_be_a_duration(value: Any) -> None:
    """Counted by the daemon, from when it gets the job."""
    assert to_wire({"expires": value}, {}) == {"expires_in": 90}


def test_a_relative_directory_is_the_callers() -> None:
    """The daemon's own directory has nothing to do with it."""
    assert to_wire({"cwd": "sub"}, {})["cwd"] == str(Path.cwd() / "sub")


def test_none_is_the_same_as_unsaid() -> None:
    """Optional values can be handed through."""
    assert to_wire({"command": "x", "id": None, "timeout": None}, {}) == {
        "command": "x"
    }


def test_given_variables_complete_the_inherited_ones() -> None:
    """Its own win; nothing else is taken from what is inherited."""
    inherited = {"cwd": "/", "env": {"A": "1", "B": "2"}}
    assert to_wire({"env": {"B": "3"}}, inherited) == {"env": {"A": "1", "B": "3"}}


def test_a_directory_that_is_gone_is_refused_where_it_is_needed() -> None:
    """A job with a directory of its own does not need it."""
    with pytest.raises(CurrentDirectoryError):
        to_wire({"command": "x"}, {"cwd": None})
    job = {"command": "x", "cwd": "/srv"}
    assert to_wire(job, {"cwd": None}) == job


def test_without_inheritance_the_given_variables_are_all() -> None:
    """An environment can be exact."""
    assert to_wire({"env": {"B": "3"}}, {}) == {"env": {"B": "3"}}


def test_a_time_without_a_zone_is_refused() -> None:
    """Whether it is local or UTC is not to be guessed."""
    for name in ("run_at", "expires"):
        with pytest.raises(ValueError, match=f"{name} .* has no time zone"):
            to_wire({name: datetime(2026, 12, 1)}, {})  # noqa: DTZ001


def test_unknown_names_are_left_to_the_daemon() -> None:
    """It refuses them by name, and a newer one may know them."""
    assert to_wire({"colour": "red"}, {}) == {"colour": "red"}


def test_options_are_what_a_submission_has() -> None:
    """The client's list of fields is the daemon's."""
    # Its ``expires`` is a time or a duration.
    assert set(NewJob.__annotations__) == set(GIVEN) - {"expires_in"}
