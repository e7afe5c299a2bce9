"""``backup``: a copy of the database while the daemon works."""

import os

import click

from queuectl.cli import output
from queuectl.cli.command import Command
from queuectl.cli.connector import Connector, pass_connector
from queuectl.errors import AlreadyExistsError
from queuectl_protocol.units import format_size


@click.command(cls=Command)
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@click.option("--json", "as_json", is_flag=True, help="Path and size as JSON.")
@pass_connector
def backup(connector: Connector, *, file: str, force: bool, as_json: bool) -> None:
    """Copy the database to FILE, while work goes on.

    The copy has all jobs, their attempts and the settings; the output of jobs is
    not in it. The daemon writes it, so it belongs to the daemon's user, who alone
    can read it. To restore one: docs/howto/backup.md.

    $ queuectl backup ~/queuectl-$(date +%F).db
    """
    path = os.path.abspath(file)  # noqa: PTH100 - the paths are strings here
    with connector.connect() as client:
        try:
            made = client.call("backup", {"path": path, "replace": force})
        except AlreadyExistsError as error:
            raise click.ClickException(f"{error}; --force replaces it") from None
    if as_json:
        output.document(made)
    else:
        output.line(f"{made['path']}: {format_size(made['size'])}")
