"""What a short command loads: most of its time is spent on that."""

import subprocess
import sys

import pytest

from helpers.cli import Cli, shared

TELLING = """
import os, sys
from queuectl.__main__ import main
os._exit = lambda status: print(end="\\0" + " ".join(sys.modules))
main()
"""
"""The command, which tells at its end what it has loaded."""

cli = shared(workers=0)

SPARED = {
    "asyncio",
    "dataclasses",
    "json",
    "logging",
    "pathlib",
    "queuectl.calls",
    "queuectl.sync.client",
    "queuectl.models",
    "queuectl.sync.stream",
    "queuectl.submission",
    "queuectl_protocol.units",
    "subprocess",
    "unicodedata",
}
"""Modules that no short command has a use for."""

FOR_THE_DAEMON = {
    "msgpack",
    "queuectl.sync.session",
    "queuectl_protocol.messages",
    "socket",
}
"""Those that it takes to ask the daemon something."""

COMMANDS = {
    "commands.enqueue",
    "commands.list",
    "commands.status",
    "commands.wait",
    "requests.job_list",
    "requests.wait",
    "view.job_view",
    "view.times",
}
"""Some of the files of commands, and of what few of them need."""


@pytest.mark.parametrize(
    ("arguments", "commands", "spared"),
    [
        (["--help"], set(), FOR_THE_DAEMON),
        (["enqueue", "--help"], {"commands.enqueue"}, FOR_THE_DAEMON),
        (["status"], {"commands.status"}, set()),
        (["enqueue", "true"], {"commands.enqueue"}, set()),
    ],
)
def test_only_what_is_used_is_loaded(
    cli: Cli, arguments: list[str], commands: set[str], spared: set[str]
) -> None:
    """A short command loads the file of no other, and no module without a use."""
    loaded = _loaded(cli, arguments)
    assert f"queuectl.cli.{min(commands, default='root')}" in loaded
    assert not loaded & {f"queuectl.cli.{name}" for name in COMMANDS - commands}
    assert not loaded & (SPARED | spared)


def _loaded(cli: Cli, arguments: list[str]) -> set[str]:
    run = subprocess.run(
        [sys.executable, "-c", TELLING, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env=cli.home.environ,
        check=True,
    )
    return set(run.stdout.rpartition("\0")[2].split())
