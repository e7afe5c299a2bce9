"""``show``: one job and its attempts."""

import click

from queuectl.cli import policy
from queuectl.cli.command_classes import Command
from queuectl.cli.connector import Connector, pass_connector
from queuectl.cli.input.param_types import JOB_ID
from queuectl.cli.requests import job_details


@click.command(cls=Command, rule=policy.LOOKS)
@click.argument("job_id", metavar="ID", type=JOB_ID)
@click.option("--env", is_flag=True, help="Also the job's environment.")
@click.option("--json", "as_json", is_flag=True, help="The job and its attempts.")
@pass_connector
def show(connector: Connector, *, job_id: str, env: bool, as_json: bool) -> None:
    """Show a job with all its attempts.

    $ queuectl show 12
    $ queuectl show 12 --json | jq .job.state
    """
    with connector.connect() as client:
        details = job_details.fetch(client, job_id, env=env)
    job_details.show(details, as_json=as_json)
