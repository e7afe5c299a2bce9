"""``--help`` of every command, as a terminal of 80 columns shows it."""

import pytest
from click.testing import CliRunner

from helpers import golden
from helpers.commands import walk
from queuectl.cli.root import root

COMMANDS = [f"queuectl {words}".strip() for words, _ in walk()]


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
