"""``backup``: copies the database while the daemon works."""

import os
import re
import time

import click

from queuectl import inherit
from queuectl.cli import policy
from queuectl.cli.command_classes import Command
from queuectl.cli.connector import Connector, pass_connector
from queuectl.cli.input.param_types import Whole
from queuectl.cli.view import output
from queuectl.errors import AlreadyExistsError
from queuectl_protocol.units import format_size

NAMED = re.compile(r"queuectl-\d{8}T\d{6}\.\d{3}Z\.db")
"""The name of a copy that ``--keep`` made. Sorted names are in order of time."""


@click.command(cls=Command, rule=policy.ACTS)
@click.argument("file", type=click.Path())
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@click.option(
    "--keep",
    type=Whole(1),
    metavar="N",
    help="FILE is a directory: name the copy by the time, keep the newest N.",
)
@click.option("--json", "as_json", is_flag=True, help="Path and size as JSON.")
@pass_connector
def backup(
    connector: Connector, *, file: str, force: bool, keep: int | None, as_json: bool
) -> None:
    """Copy the database to FILE, while work goes on.

    The copy has all jobs, their attempts and the settings; the output of jobs is
    not in it. The daemon writes it, so it belongs to the daemon's user, who alone
    can read it. To restore one: docs/howto/backup.md.

    $ queuectl backup ~/queuectl-$(date +%F).db
    $ queuectl backup --keep 7 ~/backups
    """
    if not file:
        raise click.UsageError("FILE is empty")
    if file == "-":
        raise click.UsageError(
            "the daemon writes the copy, so there is no copy to stdout; name a file "
            "(one that is called -: ./-)"
        )
    path = inherit.absolute(file)
    if keep is None and os.path.isdir(path):  # noqa: PTH112 - the paths are strings here
        raise click.ClickException(
            f"{path} is a directory; name a file in it, or keep several: --keep 7"
        )
    if keep is not None:
        path = f"{path}/{_name(time.time())}"
    with connector.connect() as client:
        try:
            made = client.call("backup", {"path": path, "replace": force})
        except AlreadyExistsError as error:
            raise click.ClickException(f"{error}; --force replaces it") from None
    removed = [] if keep is None else _remove_old(os.path.dirname(path), keep)  # noqa: PTH120
    if as_json:
        output.document(made if keep is None else {**made, "removed": removed})
        return
    output.line(f"{made['path']}: {format_size(made['size'])}")
    output.lines(f"{old}: removed" for old in removed)


def _name(now: float) -> str:
    """Return the name of a copy that is made now, by the time in UTC."""
    second = time.strftime("%Y%m%dT%H%M%S", time.gmtime(now))
    return f"queuectl-{second}.{int(now * 1000) % 1000:03}Z.db"


def _remove_old(directory: str, keep: int) -> list[str]:
    """Remove all copies but the newest; return the paths of those that are gone.

    Raises:
        click.ClickException: one could not be removed; the new copy is there.
    """
    try:
        names = sorted(filter(NAMED.fullmatch, os.listdir(directory)))  # noqa: PTH208
        old = [f"{directory}/{name}" for name in names[:-keep]]
        for each in old:
            os.unlink(each)  # noqa: PTH108
    except OSError as error:
        raise click.ClickException(
            f"the copy is made, and old ones in {directory} could not be removed: "
            f"{error.strerror}; do it as the daemon's user, or as root"
        ) from None
    return old
