"""``cancel``: ends jobs that wait or run."""

import click

from queuectl.cli import policy, signals
from queuectl.cli.command_classes import Command
from queuectl.cli.connector import Connector, pass_connector
from queuectl.cli.input.param_types import UNFINISHED_ID
from queuectl.cli.requests import changes


@click.command(cls=Command, rule=policy.ALTERS)
@click.argument("job_ids", metavar="ID...", type=UNFINISHED_ID, nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print the jobs, as one array.")
@pass_connector
def cancel(connector: Connector, *, job_ids: tuple[str, ...], as_json: bool) -> int:
    """Cancel jobs that wait or run.

    Returns when they are gone: what a running job started gets SIGTERM, and SIGKILL
    if it is still there after the setting kill_grace.

    $ queuectl cancel 12
    $ queuectl cancel $(queuectl list --state pending --json | jq -r '.[].id')
    """
    goes_on = "the daemon still ends the jobs that it was asked to"
    with connector.connect() as client, signals.explained(goes_on):
        return changes.apply(client, "cancel", job_ids, as_json=as_json)
