"""``wait``: until jobs have ended, with an exit status that tells how."""

import time
from typing import Any

import click

from queuectl.cli import exits, policy, signals
from queuectl.cli.command_classes import Command
from queuectl.cli.connector import Connector, pass_connector
from queuectl.cli.exits import Status
from queuectl.cli.input.param_types import DURATION, UNFINISHED_ID
from queuectl.cli.requests import wait as waiting
from queuectl.cli.view import job_view, output
from queuectl_protocol.vocabulary import FINAL_STATES


@click.command(cls=Command, rule=policy.LOOKS)
@click.argument("job_ids", metavar="ID...", type=UNFINISHED_ID, nargs=-1, required=True)
@click.option(
    "--timeout", type=DURATION, help="Wait at most this long, then end with 124."
)
@click.option("--json", "as_json", is_flag=True, help="Print the jobs, as one array.")
@pass_connector
def wait(
    connector: Connector,
    *,
    job_ids: tuple[str, ...],
    timeout: float | None,
    as_json: bool,
) -> int:
    """Wait until jobs have ended.

    Ends with the job's own exit code: 0 when it completed, 128+n when it died of
    signal n, 130 when it was cancelled, 124 when --timeout (or the job's own timeout)
    ran out. With several jobs: with the first failure in the order given. With 4 when
    all completed and stdout cannot be written: then stderr has the result.

    $ queuectl wait 12 13 14
    $ queuectl wait 12 --timeout 10m || echo "it failed, or takes too long"
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    with signals.explained("the jobs go on"):
        jobs = waiting.wait(connector, job_ids, deadline)
    # The outcome is known now: a stdout that fails must not hide the exit status.
    output.keep()
    if as_json:
        output.array(jobs)
    else:
        output.lines(job_view.sentence(job) for job in jobs)
    return exits.first_failure(status(job) for job in jobs)


def status(job: dict[str, Any]) -> int:
    """Return the exit status for a job that was waited for."""
    return exits.of_job(job) if job["state"] in FINAL_STATES else Status.TIMED_OUT
