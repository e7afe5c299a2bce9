"""Deletion of jobs, by their ids or by their state; on a terminal it asks first."""

from collections.abc import Sequence
from typing import Any

from queuectl.cli.input import confirm
from queuectl.cli.requests import changes
from queuectl.cli.view import output, text
from queuectl.sync.session import Session
from queuectl_protocol.vocabulary import JobState

PRUNED = (JobState.COMPLETED, JobState.CANCELLED)
"""The states that the daemon prunes if it is given none."""


def delete(
    client: Session, job_ids: Sequence[str], *, yes: bool, as_json: bool, **params: Any
) -> int:
    """Delete jobs with these ids; return the exit status."""
    number = len(dict.fromkeys(job_ids))
    what = f"job {job_ids[0]} with its" if number == 1 else f"{number} jobs with their"
    confirm.demand_deletion(lambda: f"Delete {what} output for good?", yes=yes)
    return changes.apply(
        client, "delete", job_ids, as_json=as_json, sentence=_deleted, **params
    )


def _deleted(job: dict[str, Any]) -> str:
    return text.escape(f"{job['id']}: deleted")


def prune(
    client: Session,
    states: Sequence[str],
    older_than: float | None,
    *,
    yes: bool,
    as_json: bool,
) -> None:
    """Delete the jobs in these states and print how many there were.

    Args:
        client: the daemon.
        states: those of ``PRUNED`` if there are none.
        older_than: seconds since they ended; None: all of them.
        yes: do not ask.
        as_json: print the number as JSON.
    """
    confirm.demand_deletion(
        lambda: _question(client, states or PRUNED, older_than), yes=yes
    )
    params: dict[str, Any] = {"older_than": older_than or 0}
    if states:
        params["states"] = list(states)
    result = client.call("prune", params)
    if as_json:
        output.document(result)
    else:
        output.line(f"{text.counted(result['pruned'], 'job')} deleted")


def _question(
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
