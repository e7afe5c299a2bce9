"""``status``: how many jobs are in each state."""

import click

from queuectl.cli import output
from queuectl.cli.command import Command
from queuectl.cli.connector import Connector, pass_connector

TITLES = {
    "pending": "Pending",
    "processing": "Processing",
    "completed": "Completed",
    "failed": "Failed",
    "dead": "Dead (DLQ)",
    "cancelled": "Cancelled",
}


@click.command(cls=Command)
@click.option("--json", "as_json", is_flag=True, help="The same as one JSON object.")
@pass_connector
def status(connector: Connector, *, as_json: bool) -> None:
    """Count the jobs in each state, and the workers.

    $ queuectl status
    $ queuectl status --json | jq .pending
    """
    with connector.connect() as client:
        counts = client.call("status", {})
    workers = counts["workers"]
    if as_json:
        output.document({**{key: counts[key] for key in TITLES}, "workers": workers})
        return
    content = [(title, counts[key]) for key, title in TITLES.items()]
    for title, count in [*content, ("Active Workers", workers["active"])]:
        output.line(f"{title + ':':16}{count}")
    if counts["draining"]:
        output.note(output.DRAINING)
    elif counts["pending"] and not workers["active"]:
        output.note(output.NO_WORKERS)
