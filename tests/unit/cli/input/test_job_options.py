"""What the options make of a job."""

import os
from typing import Any

import click
import pytest
from click.testing import CliRunner

from queuectl import errors, inherit
from queuectl.cli import policy
from queuectl.cli.command_classes import PassingCommand
from queuectl.cli.input import job_options

OURS = {"uid": os.geteuid()}
THEIRS = {"uid": os.geteuid() + 1}


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inherit from a process whose state is known."""
    here = {"cwd": "/srv", "umask": "0027", "env": {"PATH": "/bin", "HOME": "/h"}}
    monkeypatch.setattr(inherit, "capture", lambda: {**here})
    monkeypatch.setattr(
        job_options,
        "_minimal",
        lambda uid: {"USER": "us" if uid == os.geteuid() else "them"},
    )


def _options(**given: Any) -> job_options.GivenOptions:
    usual: dict[str, Any] = {"env": (), "clean_env": False, "cwd": None}
    return job_options.read(**{**usual, **given})


def test_options_not_given_are_no_fields() -> None:
    """Only what was said is sent; the settings decide the rest."""
    options = _options(priority=None, timeout=0.0, label="x")
    assert options.fields == {"timeout": 0.0, "label": "x"}


def test_resource_limits_become_one_field() -> None:
    """The last of a name counts."""
    given = (("core", 0), ("nofile", 5), ("core", -1))
    assert _options(rlimits=given).fields == {"rlimits": {"core": -1, "nofile": 5}}
    assert _options(rlimits=()).fields == {}


def test_a_relative_directory_is_made_absolute() -> None:
    """The daemon is somewhere else."""
    assert _options(cwd="/a/../b").fields == {"cwd": "/b"}


@pytest.mark.parametrize(
    ("given", "env"),
    [
        ({}, {"PATH": "/bin", "HOME": "/h"}),
        ({"env": (("A", "1"),)}, {"PATH": "/bin", "HOME": "/h", "A": "1"}),
        ({"clean_env": True}, None),
        (
            {"clean_env": True, "env": (("A", "1"),)},
            {"USER": "us", "A": "1"},
        ),
    ],
)
def test_the_environment_is_inherited(
    given: dict[str, Any], env: dict[str, str] | None
) -> None:
    """A job has our variables and those given; --clean-env takes ours away."""
    assert _options(**given).inherited(OURS, {}).get("env") == env


def test_nothing_is_inherited_by_another_users_daemon() -> None:
    """Our environment is not another user's to read."""
    assert _options().inherited(THEIRS, {}) == {}
    given = _options(env=(("A", "1"),)).inherited(THEIRS, {})
    assert given == {"env": {"USER": "them", "A": "1"}}


def test_a_directory_that_is_gone_can_be_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From a removed directory a job can be enqueued that has one of its own."""
    lent = {"cwd": None, "umask": "0022"}
    monkeypatch.setattr(inherit, "capture", lambda: {**lent})
    with pytest.raises(errors.CurrentDirectoryError):
        _options().inherited(OURS, {})
    assert _options().inherited(OURS, {"cwd": "/srv"}) == lent


def test_a_field_is_given_once() -> None:
    """A field in the JSON and by an option is a mistake, not a guess."""
    options = _options(priority=5, env=(("A", "1"),))
    assert options.added_to({"command": "x"}) == {"command": "x", "priority": 5}
    with pytest.raises(click.UsageError, match="priority"):
        options.added_to({"command": "x", "priority": 1})
    with pytest.raises(click.UsageError, match="env"):
        options.added_to({"command": "x", "env": {}})


@pytest.mark.parametrize(
    ("line", "words", "job"),
    [
        ("{ make; }", (), {"command": "{ make; }"}),
        (None, ("make",), {"command": "make"}),
        (None, ("make", "-j"), {"command": ["make", "-j"]}),
    ],
)
def test_a_command_is_read(
    line: str | None, words: tuple[str, ...], job: dict[str, Any]
) -> None:
    """-c takes any command line; arguments are read as jobs."""
    assert job_options.read_command(line, words) == job


@pytest.mark.parametrize(("line", "words"), [(None, ()), ("x", ("y",))])
def test_there_is_one_command(line: str | None, words: tuple[str, ...]) -> None:
    """None and two are usage errors."""
    with pytest.raises(click.UsageError):
        job_options.read_command(line, words)


def test_bad_json_is_a_failure_and_no_usage_error() -> None:
    """Its exit status is 1, as the specification has it."""
    with pytest.raises(click.ClickException) as caught:
        job_options.read_command(None, ("{",))
    assert caught.value.exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["make test"], "make test"),
        (["--", "./my prog"], ["./my prog"]),
        (["--", '{"command": "x"}'], ['{"command": "x"}']),
        (["-p", "5", "--", "make"], ["make"]),
        (["--", "--", "x"], ["--", "x"]),
        (["make", "--", "-j"], ["make", "-j"]),
        (["make test", "--"], "make test"),
        (["--label", "--", "make test"], "make test"),
        (["--label", "--", "--", "make test"], ["make test"]),
        (["--label=--", "make test"], "make test"),
    ],
)
def test_what_comes_after_dashes_is_exact(
    arguments: list[str], command: str | list[str]
) -> None:
    """One word is a program's name there; an option's value is no separator."""
    read: list[dict[str, Any]] = []

    @click.command(cls=PassingCommand, rule=policy.LOOKS)
    @click.argument("words", nargs=-1)
    @job_options.add(timeout="none")
    def probe(words: tuple[str, ...], **_options: Any) -> None:
        read.append(job_options.read_command(None, words))

    assert CliRunner().invoke(probe, arguments).exit_code == 0
    assert read == [{"command": command}]
