"""``delete``: deletes ended jobs by their ids."""

import click

from queuectl.cli import policy
from queuectl.cli.command_classes import Command
from queuectl.cli.connector import Connector, pass_connector
from queuectl.cli.input import confirm
from queuectl.cli.input.param_types import ENDED_ID
from queuectl.cli.requests import deletion


@click.command(cls=Command, rule=policy.ALTERS)
@click.argument("job_ids", metavar="ID...", type=ENDED_ID, nargs=-1, required=True)
@confirm.yes_option
@click.option("--json", "as_json", is_flag=True, help="Print the jobs, as one array.")
@pass_connector
def delete(
    connector: Connector, *, job_ids: tuple[str, ...], yes: bool, as_json: bool
) -> int:
    """Delete certain jobs that have ended, with their output.

    On a terminal it asks first. A job that waits or runs has to be cancelled before.
    Statistics keep counting what is deleted.

    $ queuectl delete 12
    $ queuectl prune --older-than 7d      all that ended a week ago
    """
    with connector.connect() as client:
        return deletion.delete(client, job_ids, yes=yes, as_json=as_json)
