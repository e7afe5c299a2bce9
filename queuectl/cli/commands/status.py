"""``status``: counts jobs by their states, and workers."""

import click

from queuectl.cli import policy
from queuectl.cli.command_classes import Command
from queuectl.cli.connector import Connector, pass_connector
from queuectl.cli.view import output, text, which_queue

TITLES = {
    "pending": "Pending",
    "processing": "Processing",
    "completed": "Completed",
    "failed": "Failed",
    "dead": "Dead (DLQ)",
    "cancelled": "Cancelled",
}

WAITING = {"ready": "Ready", "delayed": "Delayed"}
"""Jobs that wait for a worker, and jobs that wait for their time."""


@click.command(cls=Command, rule=policy.LOOKS)
@click.option("--json", "as_json", is_flag=True, help="The same as one JSON object.")
@pass_connector
def status(connector: Connector, *, as_json: bool) -> None:
    """Count jobs and workers, and tell which queue it is.

    $ queuectl status
    $ queuectl status --json | jq .pending
    """
    with connector.connect() as client:
        counts = client.call("status", {})
        queue = which_queue.facts(client)
    workers = counts["workers"]
    # Older daemons do not count these.
    waiting = {key: counts[key] for key in WAITING if key in counts}
    if as_json:
        states = {key: counts[key] for key in TITLES}
        output.document({**states, **waiting, "workers": workers, "queue": queue})
        output.trouble(counts)
        return
    content = [(title, counts[key]) for key, title in TITLES.items()]
    content += [(WAITING[key], count) for key, count in waiting.items()]
    for title, count in [*content, ("Active Workers", workers["active"])]:
        output.line(f"{title + ':':16}{count}")
    output.line(f"{'Queue:':16}{text.escape(which_queue.title(queue))}")
    output.trouble(counts)
    if counts["draining"]:
        output.note(output.DRAINING)
    elif counts["pending"] and not workers["active"]:
        output.note(output.NO_WORKERS)
