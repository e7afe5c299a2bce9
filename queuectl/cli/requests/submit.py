"""The request that enqueues one job, with what the job inherits from here."""

from typing import Any

from queuectl.cli import signals
from queuectl.cli.connector import Connector
from queuectl.cli.input import job_options
from queuectl.cli.input.job_options import GivenOptions


def submit(
    connector: Connector,
    job: dict[str, Any],
    options: GivenOptions,
    if_exists: str = "error",
    *,
    quiet: bool = False,
) -> dict[str, Any]:
    """Enqueue a job; return the daemon's reply.

    Args:
        connector: makes the connection.
        job: its fields.
        options: tell what it inherits.
        if_exists: ``error`` or ``return``.
        quiet: write no note when the job's directory or shell does not exist yet.
    """
    unknown = "the job may be enqueued already; queuectl list tells"
    with connector.connect() as client, signals.explained(unknown):
        job = {**options.inherited(client.greeting, job, client.place), **job}
        uid = client.greeting["uid"]
        reply: dict[str, Any] = client.call(
            "enqueue", {"job": job, "if_exists": if_exists}
        )
    if reply["created"] and not quiet:
        job_options.note_missing_directory(job)
        job_options.note_missing_shell(job.get("shell"), uid)
    return reply
