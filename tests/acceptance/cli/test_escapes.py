"""What others wrote never acts on the terminal of who looks."""

import pytest

from helpers.cli import Cli, shared

cli = shared(workers=1)

EVIL = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202e"


@pytest.fixture(scope="module")
def job(cli: Cli) -> str:
    """A dead job with all of that in its label and in its command."""
    return cli.ended(f"exit 3 # {EVIL}", "--label", EVIL, "--max-retries", "0")


@pytest.mark.parametrize(
    "command",
    [("list",), ("list", "--json"), ("show",), ("show", "--json"), ("dlq", "list")],
    ids=" ".join,
)
def test_a_terminal_is_shown_and_not_told(
    cli: Cli, job: str, command: tuple[str, ...]
) -> None:
    """Neither cleared, nor given a title, nor written from right to left."""
    asked = (*command, job) if command[0] == "show" else command
    with cli.terminal(*asked, columns=200, NO_COLOR="1") as terminal:
        assert terminal.end() == 0
        for harmful in ("\x1b", "\x07", "\x9b", "\u202e"):
            assert harmful not in terminal.shown
        assert "owned" in terminal.shown
