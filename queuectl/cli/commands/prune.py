"""``prune``: deletes ended jobs by their state and age."""

import click

from queuectl.cli import policy
from queuectl.cli.command_classes import Command
from queuectl.cli.connector import Connector, pass_connector
from queuectl.cli.input import confirm
from queuectl.cli.input.param_types import DURATION
from queuectl.cli.requests import deletion
from queuectl_protocol.vocabulary import FINAL_STATES

FINAL = click.Choice(sorted(state.value for state in FINAL_STATES))


@click.command(cls=Command, rule=policy.ALTERS)
@click.option(
    "-s",
    "--state",
    "states",
    type=FINAL,
    multiple=True,
    show_default="completed and cancelled",
    help="Jobs in this state; may be repeated.",
)
@click.option("--older-than", type=DURATION, help="Ended at least this long ago.")
@confirm.yes_option
@click.option("--json", "as_json", is_flag=True, help="The number as a JSON object.")
@pass_connector
def prune(
    connector: Connector,
    *,
    states: tuple[str, ...],
    older_than: float | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Delete jobs that have ended, with their output. On a terminal it asks first.

    Statistics keep counting them. The setting retention does the same by itself.

    $ queuectl prune --older-than 7d
    $ queuectl prune --state cancelled
    """
    with connector.connect() as client:
        deletion.prune(client, states, older_than, yes=yes, as_json=as_json)
