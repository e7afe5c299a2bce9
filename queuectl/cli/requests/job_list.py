"""A list of jobs: fetched page by page, and written as it comes."""

import sys
import time
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from queuectl.cli.view import job_view, output, text
from queuectl.cli.view.table import Row, Table
from queuectl.errors import NotFoundError
from queuectl.sync.session import Session
from queuectl_protocol.limits import MAX_PAGE

DEFAULT_LIMIT = 100
OUTPUT_LINES = 5
"""Lines of each stream that ``--output`` shows."""

Job = dict[str, Any]


def show(
    client: Session,
    states: Sequence[str],
    limit: int | None,
    *,
    with_output: bool = False,
    as_json: bool = False,
) -> None:
    """Write jobs to stdout, newest first.

    Args:
        client: the daemon.
        states: of the jobs; empty: all.
        limit: at most so many; None: ``DEFAULT_LIMIT``, and a note if there are more.
        with_output: also the last lines of their output.
        as_json: as one JSON array.
    """
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
        states: of the jobs; empty: all.
        more: whether there are jobs after those taken so far.
        complete: whether the page taken last is the last one.
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
            if len(self.states) == 1:  # older daemons know this parameter alone
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
        # The output of one job is missing; the list of the others goes on.
        output.note(str(error))
        return b""
    return data


def _write_table(client: Session, listing: Listing, *, with_output: bool) -> None:
    layout, now = None, time.time()
    for page in listing.pages():
        if not page:
            output.note(" ".join(["no", *_alternatives(listing.states), "jobs"]))
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


def _alternatives(states: Sequence[str]) -> list[str]:
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
