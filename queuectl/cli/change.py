"""``cancel``, ``retry`` and ``prune``: commands that change jobs."""

from collections.abc import Callable, Sequence
from typing import Any

import click

from queuectl.cli import confirm, exits, jobview, output
from queuectl.cli.command import Command
from queuectl.cli.connector import Connector, pass_connector
from queuectl.cli.params import DURATION, RETRIABLE_ID, UNFINISHED_ID
from queuectl.errors import RequestError
from queuectl.session import Session
from queuectl_protocol.vocabulary import FINAL_STATES, JobState

PRUNED = (JobState.COMPLETED, JobState.CANCELLED)
"""What ``prune`` takes unless told otherwise."""

PRUNABLE = click.Choice(sorted(state.value for state in FINAL_STATES))


@click.command(cls=Command)
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
    with connector.connect() as client:
        # All of them before the first is waited for: its worker would begin the next.
        asked = {job_id: _cancel(client, job_id) for job_id in dict.fromkeys(job_ids)}
        return change_each(
            job_ids, lambda job_id: _gone(client, asked[job_id]), as_json=as_json
        )


@click.command(cls=Command)
@click.argument("job_ids", metavar="ID...", type=RETRIABLE_ID, nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print the jobs, as one array.")
@pass_connector
def retry(connector: Connector, *, job_ids: tuple[str, ...], as_json: bool) -> int:
    """Run jobs again that have ended, or fail and wait.

    Their retries count from zero again; earlier attempts and their output are kept.

    $ queuectl retry 12
    $ queuectl dlq retry --all            all that are dead
    """
    with connector.connect() as client:
        return change_each(
            job_ids, lambda job_id: _retry(client, job_id), as_json=as_json
        )


@click.command(cls=Command)
@click.option(
    "-s",
    "--state",
    "states",
    type=PRUNABLE,
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
        confirm.demand(
            lambda: _prune_question(client, states or PRUNED, older_than),
            yes=yes,
            otherwise="nothing was deleted",
        )
        prune_states(client, states, older_than, as_json=as_json)


def _prune_question(
    client: Session, states: Sequence[str], older_than: float | None
) -> str | None:
    counts = client.call("status")
    found = [(counts[state], state) for state in states if counts[state]]
    if not found:
        return None
    listed = " and ".join(f"{number} {state}" for number, state in found)
    which = "those of them that are old enough" if older_than else "all of them"
    noun = "job" if sum(number for number, _ in found) == 1 else "jobs"
    return f"{listed} {noun}. Delete {which}, with their output, for good?"


def prune_states(
    client: Session, states: Sequence[str], older_than: float | None, *, as_json: bool
) -> None:
    """Delete jobs and tell how many."""
    params: dict[str, Any] = {"older_than": older_than or 0}
    if states:
        params["states"] = list(states)
    result = client.call("prune", params)
    if as_json:
        output.document(result)
    else:
        output.line(f"{counted(result['pruned'], 'job')} deleted")


def counted(number: int, noun: str) -> str:
    """Return ``1 job`` or ``2 jobs``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def change_each(
    job_ids: Sequence[str],
    change: Callable[[str], dict[str, Any]],
    *,
    as_json: bool,
) -> int:
    """Change each job, whatever becomes of the others; return the exit status."""
    jobs: list[dict[str, Any]] = []
    failed = False
    for job_id in dict.fromkeys(job_ids):
        try:
            job = change(job_id)
        except RequestError as error:
            output.fault("queuectl", error)
            failed = True
            continue
        jobs.append(job)
        if not as_json:
            output.line(jobview.sentence(job))
    if as_json:
        output.array(jobs)
    return exits.Status.FAILED if failed else exits.Status.OK


def _cancel(client: Session, job_id: str) -> dict[str, Any] | RequestError:
    """Have a job cancelled; return it as it is then, or why it could not be."""
    try:
        job: dict[str, Any] = client.call("cancel", {"id": job_id, "wait": False})[
            "job"
        ]
    except RequestError as error:
        return error
    return job


def _gone(client: Session, asked: dict[str, Any] | RequestError) -> dict[str, Any]:
    """Wait for the end of a job that was asked to end."""
    if isinstance(asked, RequestError):
        raise asked
    if asked["state"] != JobState.PROCESSING:
        return asked
    job: dict[str, Any] = client.call("wait", {"id": asked["id"]})["job"]
    return job


def _retry(client: Session, job_id: str) -> dict[str, Any]:
    job: dict[str, Any] = client.call("retry", {"id": job_id})["job"]
    return job
