"""``start``: runs jobs now whose time has not come."""

from typing import Any

import click

from queuectl.cli import policy
from queuectl.cli.command_classes import Command
from queuectl.cli.connector import Connector, pass_connector
from queuectl.cli.input.param_types import WAITING_ID
from queuectl.cli.requests import changes
from queuectl.cli.view import job_view, text
from queuectl_protocol.vocabulary import JobState

WAITING = frozenset({JobState.PENDING, JobState.FAILED})


@click.command(cls=Command, rule=policy.ALTERS)
@click.argument("job_ids", metavar="ID...", type=WAITING_ID, nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print the jobs, as one array.")
@pass_connector
def start(connector: Connector, *, job_ids: tuple[str, ...], as_json: bool) -> int:
    """Let jobs run now that wait for their time.

    A job that was enqueued for later, or one that has failed and waits for its retry.
    It has as many retries left as it had.

    $ queuectl start 12
    """
    with connector.connect() as client:
        return changes.apply(
            client, "start", job_ids, as_json=as_json, sentence=_sentence
        )


def _sentence(job: dict[str, Any]) -> str:
    """Say that a job is due. The usual sentence tells how its last run failed."""
    if job["state"] not in WAITING:
        return job_view.sentence(job)
    return text.escape(f"{job['id']}: {job['state']}, due now")
