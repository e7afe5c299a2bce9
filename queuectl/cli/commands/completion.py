"""``completion``: the script with which a shell completes these commands."""

from importlib.resources import files

import click

from queuectl.cli import policy
from queuectl.cli.command_classes import Command
from queuectl.cli.view import output


@click.command(cls=Command, rule=policy.LOOKS)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a completion script: commands, options, states, job ids, settings.

    $ echo 'eval "$(queuectl completion bash)"' >> ~/.bashrc
    $ echo 'eval "$(queuectl completion zsh)"' >> ~/.zshrc
    $ queuectl completion fish > ~/.config/fish/completions/queuectl.fish
    """
    script = files("queuectl.cli.input.completion") / f"completion.{shell}"
    output.line(script.read_text(encoding="utf-8"))
