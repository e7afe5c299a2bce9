"""``completion``: the script that teaches a shell to complete our commands."""

import click
from click.shell_completion import get_completion_class

from queuectl.cli import output
from queuectl.cli.command import Command

VARIABLE = "_QUEUECTL_COMPLETE"
"""How the script asks us: click's name for the command ``queuectl``."""


@click.command(cls=Command)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print a completion script: commands, options, states, job ids, settings.

    $ echo 'eval "$(queuectl completion bash)"' >> ~/.bashrc
    $ echo 'eval "$(queuectl completion zsh)"' >> ~/.zshrc
    $ queuectl completion fish > ~/.config/fish/completions/queuectl.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None
    output.line(kind(ctx.find_root().command, {}, "queuectl", VARIABLE).source())
