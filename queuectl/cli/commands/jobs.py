"""``list`` and ``show``: jobs as they stand."""

import sys
import time
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import click

from queuectl.cli.command_classes import Command
from queuectl.cli.connector import Connector, pass_connector
from queuectl.cli.input.param_types import JOB_ID, Whole
from queuectl.cli.view import job_view, output, text
from queuectl.cli.view.table import Row, Table
from queuectl.errors import NotFoundError
from queuectl.sync.session import Session
from queuectl_protocol.limits import MAX_PAGE
from queuectl_protocol.vocabulary import JobState

STATE = click.Choice([state.value for state in JobState])

DEFAULT_LIMIT = 100
OUTPUT_LINES = 5
"""Lines of each stream that ``list --output`` shows."""

Job = dict[str, Any]


@click.command("list", cls=Command)
@click.option(
    "-s",
    "--state",
    "states",
    type=STATE,
    multiple=True,
    help="Only jobs in this state; may be repeated.",
)
@click.option(
    "-n",
    "--limit",
    type=Whole(min=1),
    metavar="N",
    show_default=str(DEFAULT_LIMIT),
    help="At most so many, the newest; there is no maximum.",
)
@click.option(
    "--output",
    "with_output",
    is_flag=True,
    help=f"Also the last {OUTPUT_LINES} lines of each job's output.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON array, nothing else.")
@pass_connector
def list_jobs(
    connector: Connector,
    *,
    states: tuple[str, ...],
    limit: int | None,
    with_output: bool,
    as_json: bool,
) -> None:
    """List jobs, newest first.

    $ queuectl list --state failed        what waits for its next retry
    $ queuectl list -s dead -s cancelled  in any of several states
    $ queuectl list --limit 5 --output    with the end of their output
    $ queuectl list --json | jq -r '.[].id'
    """
    with connector.connect() as client:
        show_list(client, states, limit, with_output=with_output, as_json=as_json)


def show_list(
    client: Session,
    states: Sequence[str],
    limit: int | None,
    *,
    with_output: bool = False,
    as_json: bool = False,
) -> None:
    """Write the list to stdout, and to stderr that there is more, unless asked."""
    listing = Listing(client, states, limit or DEFAULT_LIMIT)
    if as_json:
        output.array(_with_output(client, listing) if with_output else listing)
    else:
        _write_table(client, listing, with_output=with_output)
    if limit is None and listing.more:
        output.note(f"the newest {DEFAULT_LIMIT} are shown; for more: --limit N")


class Listing:
    """The jobs of a list, fetched page by page as they are taken.

    Attributes:
        states: which jobs; empty: all.
        more: whether there are jobs beyond those taken so far.
        complete: whether no other page will follow the one taken last.
    """

    def __init__(self, client: Session, states: Sequence[str], limit: int) -> None:
        self._client = client
        self.states = list(dict.fromkeys(states))
        self._limit = limit
        self.more = False
        self.complete = False

    def __iter__(self) -> Iterator[Job]:
        """Yield jobs, newest first."""
        return chain.from_iterable(self.pages())

    def pages(self) -> Iterator[list[Job]]:
        """Yield pages of jobs, newest first."""
        left, cursor = self._limit, None
        while left:
            params: Job = {"limit": min(left, MAX_PAGE)}
            if len(self.states) == 1:  # as a daemon wants it that knows no list
                (params["state"],) = self.states
            elif self.states:
                params["states"] = self.states
            if cursor is not None:
                params["before"] = cursor
            page = self._client.call("list", params)
            left -= len(page["jobs"])
            cursor = page["next"]
            self.more = cursor is not None
            self.complete = not (left and self.more)
            yield page["jobs"]
            if cursor is None:
                return


def _with_output(client: Session, jobs: Listing) -> Iterator[Job]:
    for job in jobs:
        tails = {
            stream: data.decode("utf-8", "surrogateescape")
            for stream, data in _tails(client, job)
        }
        yield {**job, "output": tails}


def _tails(client: Session, job: Job) -> Iterator[tuple[str, bytes]]:
    for stream in ("stdout", "stderr"):
        yield stream, _tail(client, job["id"], stream) if job["runs"] else b""


def _tail(client: Session, job_id: str, stream: str) -> bytes:
    params = {"id": job_id, "stream": stream, "tail": OUTPUT_LINES}
    try:
        data: bytes = client.call("logs.read", params)["data"]
    except NotFoundError as error:
        # Of one job among many: it must not be the end of the listing.
        output.note(str(error))
        return b""
    return data


def _write_table(client: Session, listing: Listing, *, with_output: bool) -> None:
    layout, now = None, time.time()
    for page in listing.pages():
        if not page:
            output.note(" ".join(["no", *_joined(listing.states), "jobs"]))
            return
        rows = [_row(job, now) for job in page]
        if layout is None:
            layout = _layout(rows, several_pages=not listing.complete)
            output.line(layout.header())
        for job, row in zip(page, rows, strict=True):
            output.line(layout.line(row))
            if with_output:
                _write_tails(client, job)
        output.flush()


def _joined(states: Sequence[str]) -> list[str]:
    return [" or ".join(states)] if states else []


def _layout(rows: list[Row], *, several_pages: bool) -> Table:
    return Table(
        job_view.COLUMNS,
        rows,
        width=output.width(sys.stdout),
        keep_empty=several_pages,
        colour=output.colour(sys.stdout),
    )


def _row(job: Job, now: float) -> Row:
    return job_view.row(job, now=now, style=output.STATE_STYLES[job["state"]])


def _write_tails(client: Session, job: Job) -> None:
    marks = {"stdout": "|", "stderr": "!"}
    for stream, data in _tails(client, job):
        lines = data.decode("utf-8", "surrogateescape").removesuffix("\n")
        for line in lines.split("\n") if lines else ():
            output.clipped(f"    {marks[stream]} {text.plain(line)}")


@click.command(cls=Command)
@click.argument("job_id", metavar="ID", type=JOB_ID)
@click.option("--env", is_flag=True, help="Also the job's environment.")
@click.option("--json", "as_json", is_flag=True, help="The job and its attempts.")
@pass_connector
def show(connector: Connector, *, job_id: str, env: bool, as_json: bool) -> None:
    """Show a job with all its attempts.

    $ queuectl show 12
    $ queuectl show 12 --json | jq .job.state
    """
    with connector.connect() as client:
        view = whole_view(client, job_id, env=env)
    if as_json:
        output.document(view)
    else:
        show_view(view)


def whole_view(client: Session, job_id: str, *, env: bool = False) -> Job:
    """Return a job with all its attempts, however many replies that takes."""
    view: Job = client.call("get", {"id": job_id, "env": env})
    parts = [view["attempts"]]
    earlier = view.pop("attempts_next", None)
    while earlier is not None:
        part = client.call("get", {"id": job_id, "attempts_before": earlier})
        parts.append(part["attempts"])
        earlier = part["attempts_next"]
    return {**view, "attempts": list(chain.from_iterable(reversed(parts)))}


def show_view(view: Job) -> None:
    """Write a job and its attempts for people."""
    job, attempts, now = view["job"], view["attempts"], time.time()
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
