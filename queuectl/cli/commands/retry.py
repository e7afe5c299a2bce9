"""``retry``: runs jobs again from their first attempt."""

import click

from queuectl.cli import policy
from queuectl.cli.command_classes import Command
from queuectl.cli.connector import Connector, pass_connector
from queuectl.cli.input.param_types import RETRIABLE_ID
from queuectl.cli.requests import changes


@click.command(cls=Command, rule=policy.ALTERS)
@click.argument("job_ids", metavar="ID...", type=RETRIABLE_ID, nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print the jobs, as one array.")
@pass_connector
def retry(connector: Connector, *, job_ids: tuple[str, ...], as_json: bool) -> int:
    """Run jobs again that have ended, or wait for their retry.

    Their retries count from zero again; earlier attempts and their output are kept.
    To keep the count of a job that waits for its retry, start it instead.

    $ queuectl retry 12
    $ queuectl dlq retry --all            all that are dead
    """
    with connector.connect() as client:
        return changes.apply(client, "retry", job_ids, as_json=as_json)
