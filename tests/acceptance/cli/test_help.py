"""``--help`` of every command, as a terminal of 80 columns shows it."""

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from helpers import golden
from queuectl.cli.root import root


def _commands(command: click.Command, path: tuple[str, ...]) -> Iterator[str]:
    yield " ".join(path)
    if isinstance(command, click.Group):
        ctx = click.Context(command)
        for name in command.list_commands(ctx):
            found = command.get_command(ctx, name)
            assert found is not None
            yield from _commands(found, (*path, name))


COMMANDS = list(_commands(root, ("queuectl",)))


def _file(command: str) -> str:
    return command.replace(" ", "-") + ".txt"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_as_reviewed(command: str) -> None:
    """The help of each command is the one in its golden file, within 80 columns."""
    arguments = [*command.split()[1:], "--help"]
    result = CliRunner().invoke(
        root, arguments, prog_name="queuectl", terminal_width=80
    )
    assert result.exit_code == 0
    assert max(map(len, result.output.splitlines())) <= 80
    golden.check(f"help/{_file(command)}", result.output)


def test_every_golden_file_has_its_command() -> None:
    """No help is kept of a command that is gone."""
    assert golden.names("help") == set(map(_file, COMMANDS))
