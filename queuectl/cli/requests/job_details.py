"""One job with all its attempts: fetched in as many requests as it takes, and shown."""

import time
from itertools import chain
from typing import Any

from queuectl.cli.view import job_view, output, text
from queuectl.sync.session import Session


def fetch(client: Session, job_id: str, *, env: bool = False) -> dict[str, Any]:
    """Return a job with all its attempts: the maps ``job`` and ``attempts``.

    Args:
        client: the daemon.
        job_id: the job.
        env: with the job's environment.
    """
    details: dict[str, Any] = client.call("get", {"id": job_id, "env": env})
    parts = [details["attempts"]]
    earlier = details.pop("attempts_next", None)
    while earlier is not None:
        part = client.call("get", {"id": job_id, "attempts_before": earlier})
        parts.append(part["attempts"])
        earlier = part["attempts_next"]
    return {**details, "attempts": list(chain.from_iterable(reversed(parts)))}


def show(details: dict[str, Any], *, as_json: bool) -> None:
    """Write a job and its attempts to stdout."""
    if as_json:
        output.document(details)
        return
    job, attempts, now = details["job"], details["attempts"], time.time()
    name = output.heading(f"Job {text.escape(job['id'])}")
    ending = " (cancelling)" if job["cancel_requested"] else ""
    output.line(f"{name}  {output.state(job['state'])}{ending}")
    output.pairs(job_view.facts(job, now=now), indent="  ")
    if env := job.get("env"):
        output.line(output.heading("Environment"))
        output.pairs(sorted(env.items()), indent="  ")
    if attempts:
        output.line(output.heading("Attempts"))
        rows = [job_view.attempt_row(attempt, now=now) for attempt in attempts]
        output.rows(job_view.ATTEMPT_COLUMNS, rows)
