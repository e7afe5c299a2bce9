"""All commands of queuectl, for tests that hold for each of them."""

from collections.abc import Iterator

import click

from queuectl.cli.root import root


def walk(
    command: click.Command = root, path: tuple[str, ...] = ()
) -> Iterator[tuple[str, click.Command]]:
    """Yield each command, groups and the root too, after its words: ``dlq list``."""
    yield " ".join(path), command
    if isinstance(command, click.Group):
        ctx = click.Context(command)
        for name in command.list_commands(ctx):
            found = command.get_command(ctx, name)
            assert found is not None
            yield from walk(found, (*path, name))
