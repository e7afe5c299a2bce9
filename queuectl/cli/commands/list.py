"""``list``: jobs as they stand."""

import click

from queuectl.cli import policy
from queuectl.cli.command_classes import Command
from queuectl.cli.connector import Connector, pass_connector
from queuectl.cli.input.param_types import Whole
from queuectl.cli.requests import job_list
from queuectl_protocol.vocabulary import JobState

STATE = click.Choice([state.value for state in JobState])


@click.command("list", cls=Command, rule=policy.LOOKS)
@click.option(
    "-s",
    "--state",
    "states",
    type=STATE,
    multiple=True,
    help="Only jobs in this state; may be repeated.",
)
@click.option(
    "-n",
    "--limit",
    type=Whole(min=1),
    metavar="N",
    show_default=str(job_list.DEFAULT_LIMIT),
    help="At most so many, the newest; there is no maximum.",
)
@click.option(
    "--output",
    "with_output",
    is_flag=True,
    help=f"Also the last {job_list.OUTPUT_LINES} lines of each job's output.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON array, nothing else.")
@pass_connector
def list_(
    connector: Connector,
    *,
    states: tuple[str, ...],
    limit: int | None,
    with_output: bool,
    as_json: bool,
) -> None:
    """List jobs, newest first.

    $ queuectl list --state failed        what waits for its next retry
    $ queuectl list -s dead -s cancelled  in any of several states
    $ queuectl list --limit 5 --output    with the end of their output
    $ queuectl list --json | jq -r '.[].id'
    """
    with connector.connect() as client:
        job_list.show(client, states, limit, with_output=with_output, as_json=as_json)
