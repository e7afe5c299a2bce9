"""``--json``: one JSON document on stdout and nothing else, of every command."""

import json

import pytest

from helpers.cli import Cli, shared
from helpers.commands import walk

cli = shared(workers=1)

FINAL = ("--max-retries", "0")

COMMANDS = {
    "enqueue": ("--delay", "1d", "true"),
    "list": (),
    "show": ("done",),
    "wait": ("done",),
    "cancel": ("waits",),
    "retry": ("done",),
    "start": ("later",),
    "delete": ("gone",),
    "dlq list": (),
    "dlq show": ("dead",),
    "dlq retry": ("dead",),
    "dlq purge": (),
    "prune": (),
    "status": (),
    "health": (),
    "stats": (),
    "config get": ("timeout",),
    "config list": (),
    "config set": ("timeout", "5m"),
    "config show": (),
    "config unset": ("timeout",),
    "worker list": (),
    "worker start": (),
    "worker scale": ("2",),
    "worker stop": (),
    "daemon status": (),
    "doctor": (),
    "backup": ("queue.db",),
    "systemd install": ("--user", "--root", ".", "--dry-run"),
    "systemd uninstall": ("--user", "--root", "."),
}
"""An invocation of each command that has the option."""


@pytest.fixture(scope="module", autouse=True)
def jobs(cli: Cli) -> None:
    """Make jobs to be asked about."""
    cli.enqueue("true", "--id", "waits", "--delay", "1d")
    cli.enqueue("true", "--id", "later", "--delay", "1d")
    cli.ended("true", "--id", "done")
    cli.ended("true", "--id", "gone")
    cli.ended("exit 1", "--id", "dead", *FINAL)


@pytest.mark.parametrize("command", COMMANDS)
def test_json_is_one_document_and_nothing_else(cli: Cli, command: str) -> None:
    """Data for programs: ASCII on stdout, and no note on stderr."""
    written = cli.ok(*command.split(), *COMMANDS[command], "--json")
    assert written.isascii()
    assert isinstance(json.loads(written), dict | list)


def test_every_command_with_json_is_here() -> None:
    """A new one has to find its place."""
    with_json = {
        words
        for words, command in walk()
        if any("--json" in param.opts for param in command.params)
    }
    assert with_json == set(COMMANDS)
