"""``logs``: a job's output, byte for byte, each stream to the stream of that name."""

from collections.abc import Iterable
from typing import Any

import click

from queuectl.cli import policy
from queuectl.cli.command_classes import Command
from queuectl.cli.connector import Connector, pass_connector
from queuectl.cli.input.param_types import JOB_ID, Whole
from queuectl.cli.requests.follow import Follower
from queuectl.cli.view import output
from queuectl.errors import NotFoundError
from queuectl.sync.session import Session
from queuectl_protocol.limits import MAX_LOG_CHUNK

STREAMS = ("stdout", "stderr")


@click.command(cls=Command, rule=policy.LOOKS)
@click.argument("job_id", metavar="ID", type=JOB_ID)
@click.option(
    "-a",
    "--attempt",
    type=Whole(min=1),
    metavar="N",
    show_default="the last",
    help="Of this run.",
)
@click.option("--stream", type=click.Choice(STREAMS), help="Only this one.")
@click.option(
    "-f", "--follow", is_flag=True, help="Go on until the job's end, also over retries."
)
@click.option(
    "-n",
    "--tail",
    type=Whole(min=0),
    metavar="N",
    help="Only the last N lines of each stream.",
)
@pass_connector
def logs(
    connector: Connector,
    *,
    job_id: str,
    attempt: int | None,
    stream: str | None,
    follow: bool,
    tail: int | None,
) -> None:
    """Write a job's output.

    Its stdout goes to stdout, its stderr to stderr, with nothing added. The two are
    files of their own, so the order between them is not kept. If a part of the
    output is gone, the rest is written, and the status is 1.

    $ queuectl logs 12                    all that the last attempt has written
    $ queuectl logs 12 --attempt 1        what the first one wrote
    $ queuectl logs 12 -f --tail 20       like tail -f, up to the end of the job
    $ queuectl logs 12 --stream stderr 2>&1 | less
    """
    streams = STREAMS if stream is None else (stream,)
    if follow:
        follower = Follower(
            job_id, output.copy, run=attempt, tail=tail, streams=streams
        )
        follower.follow(connector)
        _report_missing(follower.missing)
        return
    with connector.connect() as client:
        run = attempt or _last_run(client, job_id)
        if run == 0:
            output.note(f"job {job_id} has not run yet; to wait for it: --follow")
            return
        missing = []
        for name in streams:
            try:
                _copy(client, {"id": job_id, "run": run, "stream": name}, tail)
            except NotFoundError as error:
                if "stream" not in error.data:
                    raise
                missing.append(str(error))
    _report_missing(missing)


def _report_missing(sentences: Iterable[str]) -> None:
    """End with a failure if some output is missing, and say which."""
    message = "\n".join(sentences)
    if message:
        raise click.ClickException(message)


def _last_run(client: Session, job_id: str) -> int:
    runs: int = client.call("get", {"id": job_id})["job"]["runs"]
    return runs


def _copy(client: Session, params: dict[str, Any], tail: int | None) -> None:
    """Copy what is there now. What the job writes meanwhile is left out."""
    start: dict[str, Any] = {"offset": 0} if tail is None else {"tail": tail}
    part = client.call("logs.read", {**params, **start, "limit": MAX_LOG_CHUNK})
    end = part["size"]
    output.copy(params["stream"], part["data"])
    while part["data"] and part["next"] < end:
        limit = min(MAX_LOG_CHUNK, end - part["next"])
        place = {"offset": part["next"], "limit": limit}
        part = client.call("logs.read", {**params, **place})
        output.copy(params["stream"], part["data"])
