"""Numbers that are none, or too large for anything: in every option that takes one."""

import json
import subprocess
from typing import Any

import click
import pytest

from helpers.cli import Cli, shared
from helpers.commands import walk
from helpers.home import BIN
from queuectl.cli.input import param_types
from queuectld.config import OPTIONS

cli = shared(workers=0)

VALUES = (
    str(2**63), str(2**64), "9" * 5000, "-1", "1e999", "-1e999", "nan", "inf", "",
    "٣", "1_000", "0x10", "1.5",
)  # fmt: skip

NUMERIC = (
    param_types.Integer,
    param_types.Duration,
    param_types.Size,
    param_types.Percent,
    param_types.Moment,
    param_types.Rlimit,
)

NEEDED = {
    "enqueue": ["true"],
    "logs": ["no-such"],
    "run": ["--clean-env", "-e", "PATH=/", "true"],
    "wait": ["no-such"],
    "worker start": ["--json"],
}
"""What a command wants besides."""


PARAMETERS = [(words, param) for words, command in walk() for param in command.params]

OPTIONS_HERE = sorted(
    (words, param.opts[-1])
    for words, param in PARAMETERS
    if isinstance(param.type, NUMERIC)
)


def test_no_option_takes_numbers_as_python_does() -> None:
    """Every number goes through one of the types that know its range."""
    types = {type(param.type) for _, param in PARAMETERS}
    assert not types & {type(click.INT), type(click.FLOAT), click.IntRange}
    assert {"--priority", "--timeout", "--count", "--limit"} <= {
        option for _, option in OPTIONS_HERE
    }


@pytest.mark.parametrize(("command", "option"), OPTIONS_HERE)
def test_a_bad_number_is_a_mistake_that_is_explained(
    cli: Cli, command: str, option: str
) -> None:
    """Whatever is written: refused by the command line or by the daemon, and why."""
    given = "nofile={}" if option == "--rlimit" else "{}"
    for value in VALUES:
        said = cli(
            *command.split(),
            f"{option}={given.format(value)}",
            *NEEDED.get(command, []),
        )
        assert "Traceback" not in said.err
        assert "internal" not in said.err
        # What health finds is its status; to a monitor every mistake is: unknown.
        taken, refused = ({0, 1, 2}, {3}) if command == "health" else ({0}, {1, 2})
        if said.code in taken:
            patient = command == "health" and value.isascii() and value.isdigit()
            assert patient or _may_be_taken(value, option), value
        else:
            assert said.code in refused
            assert len(said.err) < 2000


def _may_be_taken(value: str, option: str) -> bool:
    """Tell whether this can mean something: a priority below zero, a long time."""
    if value in {"-1", "1.5"}:
        return True
    long = value in {str(2**63), str(2**64), "9" * 5000}
    return long and option in {"--older-than", "--since"}


@pytest.mark.parametrize("key", sorted(OPTIONS))
def test_queuectld_explains_a_bad_number(cli: Cli, key: str) -> None:
    """So does the daemon, of each option of its own: with status 2."""
    for value in VALUES:
        done = _queuectld(cli, "--check-config", f"{OPTIONS[key].flag}={value}")
        assert "Traceback" not in done.stderr
        assert done.returncode in {0, 2}
        if OPTIONS[key].kind.name in {"COUNT", "DURATION", "SIZE"} and value != "1.5":
            assert done.returncode == 2, value
            assert done.stderr.startswith(f"queuectld: {OPTIONS[key].flag}: ")


def _queuectld(cli: Cli, *arguments: str) -> Any:
    return subprocess.run(
        [BIN / "queuectld", *arguments],
        capture_output=True,
        text=True,
        env=cli.home.environ,
        cwd=cli.home.work,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    "half",
    ['{"command": "\\ud800"}', '{"command": ["a", "\\udfff"]}', '{"label": "\\ud800"}'],
)
def test_half_a_character_is_no_text(cli: Cli, half: str) -> None:
    """A lone surrogate in JSON is refused in words; bytes that are no UTF-8 travel."""
    assert "half a character" in cli.refused("enqueue", half)
    assert "half a character" in cli.misuse("rpc", "enqueue", f'{{"job": {half}}}')
    said = cli("enqueue", "--file", "-", stdin=f"{half}\n")
    assert "line 1: bad JSON" in said.err
    stray = cli("enqueue", "--json", '{"command": "echo \\udcff"}').out
    assert json.loads(stray)["command"] == "echo \udcff"
