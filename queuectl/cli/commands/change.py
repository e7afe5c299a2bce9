"""Commands that change jobs: cancel, retry, start, delete, prune."""

from collections.abc import Sequence
from typing import Any

import click

from queuectl.cli import signals
from queuectl.cli.command_classes import Command
from queuectl.cli.connector import Connector, pass_connector
from queuectl.cli.input import confirm
from queuectl.cli.input.param_types import (
    DURATION,
    ENDED_ID,
    RETRIABLE_ID,
    UNFINISHED_ID,
    WAITING_ID,
)
from queuectl.cli.requests import changes
from queuectl.cli.view import job_view, output, text
from queuectl.sync.session import Session
from queuectl_protocol.vocabulary import FINAL_STATES, JobState

PRUNED = (JobState.COMPLETED, JobState.CANCELLED)
"""What ``prune`` takes unless told otherwise."""

WAITING = frozenset({JobState.PENDING, JobState.FAILED})
"""The states of a job that is to be started."""

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
    goes_on = "what was asked to end still ends"
    with connector.connect() as client, signals.explained(goes_on):
        return changes.change(client, "cancel", job_ids, as_json=as_json)


@click.command(cls=Command)
@click.argument("job_ids", metavar="ID...", type=RETRIABLE_ID, nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print the jobs, as one array.")
@pass_connector
def retry(connector: Connector, *, job_ids: tuple[str, ...], as_json: bool) -> int:
    """Run jobs again that have ended, or fail and wait.

    Their retries count from zero again; earlier attempts and their output are kept.
    To keep the count of a job that waits for its retry, start it instead.

    $ queuectl retry 12
    $ queuectl dlq retry --all            all that are dead
    """
    with connector.connect() as client:
        return changes.change(client, "retry", job_ids, as_json=as_json)


@click.command(cls=Command)
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
        return changes.change(client, "start", job_ids, as_json=as_json, sentence=_due)


def _due(job: dict[str, Any]) -> str:
    """Return that a job is to run now; how its last run ended reads as a failure."""
    if job["state"] not in WAITING:
        return job_view.sentence(job)
    return text.escape(f"{job['id']}: {job['state']}, due now")


@click.command(cls=Command)
@click.argument("job_ids", metavar="ID...", type=ENDED_ID, nargs=-1, required=True)
@confirm.yes_option
@click.option("--json", "as_json", is_flag=True, help="Print the jobs, as one array.")
@pass_connector
def delete(
    connector: Connector, *, job_ids: tuple[str, ...], yes: bool, as_json: bool
) -> int:
    """Delete certain jobs that have ended, with their output.

    On a terminal it asks first. A job that waits or runs has to be cancelled before.
    Statistics keep counting what is deleted.

    $ queuectl delete 12
    $ queuectl prune --older-than 7d      all that ended a week ago
    """
    with connector.connect() as client:
        return delete_each(client, job_ids, yes=yes, as_json=as_json)


def delete_each(
    client: Session, job_ids: Sequence[str], *, yes: bool, as_json: bool, **params: Any
) -> int:
    """Delete jobs, if whoever is asked agrees; return the exit status."""
    number = len(dict.fromkeys(job_ids))
    what = f"job {job_ids[0]} with its" if number == 1 else f"{number} jobs with their"
    confirm.demand(
        lambda: f"Delete {what} output for good?",
        yes=yes,
        otherwise="nothing was deleted",
    )
    return changes.change(
        client, "delete", job_ids, as_json=as_json, sentence=_deleted, **params
    )


def _deleted(job: dict[str, Any]) -> str:
    return text.escape(f"{job['id']}: deleted")


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


def demand_interruption(busy: int, *, yes: bool) -> None:
    """Ask before running jobs are interrupted: what they have done so far is lost."""
    jobs = counted(busy, "job")
    question = f"{jobs} running: interrupt, to be run again from the beginning?"
    confirm.demand(
        lambda: question if busy else None, yes=yes, otherwise="nothing was stopped"
    )
