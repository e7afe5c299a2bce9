"""The root command: mistakes are answered with what to do, and nothing is loaded."""

import pytest
from click.testing import CliRunner

from queuectl.cli.root import SECTIONS, root


def _error(*arguments: str) -> str:
    result = CliRunner().invoke(root, arguments, prog_name="queuectl")
    assert result.exit_code == 2
    return " ".join(result.output.split())


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("lits", "queuectl list"),
        ("statuss", "queuectl status"),
        ("kill", "queuectl cancel"),
        ("ls", "queuectl list"),
        ("add", "queuectl enqueue"),
        ("pause", "queuectl worker stop"),
        ("prnue", "queuectl prune"),
    ],
)
def test_the_nearest_command_is_named(typed: str, meant: str) -> None:
    """A typing error and another tool's word are both understood."""
    assert f"Did you mean '{meant}'?" in _error(typed)


def test_subcommands_are_suggested_too() -> None:
    """Groups inside the root help in the same way."""
    assert "Did you mean 'queuectl dlq retry'?" in _error("dlq", "retyr")


def test_a_far_name_gets_no_suggestion() -> None:
    """Nothing is suggested that is unlike what was typed."""
    assert _error("xyzzy").endswith("There is no command 'xyzzy'.")


@pytest.mark.parametrize("typed", ["paused", "prime", "rerun", "spree"])
def test_no_word_is_taken_for_a_command_that_deletes(typed: str) -> None:
    """Only a plain typing error is."""
    assert "queuectl prune" not in _error(typed)
    assert "dlq purge" not in _error("dlq", typed)


def test_the_root_tells_what_the_commands_say() -> None:
    """The list of commands is kept apart from them, and says the same."""
    for names in SECTIONS.values():
        for name, summary in names.items():
            command = root.get_command(None, name)  # type: ignore[arg-type]
            assert command is not None
            assert command.get_short_help_str(limit=80) == summary
