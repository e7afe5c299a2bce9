"""``worker``: the processes that run jobs."""

import signal
import time
from typing import Any, NoReturn

import click

from queuectl.cli import change, output, times
from queuectl.cli.command import Group
from queuectl.cli.connector import Connector, pass_connector
from queuectl.cli.exits import Status
from queuectl.cli.params import DURATION, Whole
from queuectl.cli.table import Column
from queuectl.session import Session

MAX_WORKERS = 256

COLUMNS = (
    Column("WORKER", right=True),
    Column("PID", right=True),
    Column("STATE"),
    Column("JOB", flexible=True),
    Column("RUN", right=True),
    Column("FOR", right=True),
    Column("NOTES", spare=1),
)

Worker = dict[str, Any]


@click.group(cls=Group)
def worker() -> None:
    """Workers: each runs one job at a time.

    $ queuectl worker start --count 2
    $ queuectl worker list
    $ queuectl worker stop --timeout 1m
    """


@worker.command()
@click.option(
    "-n",
    "--count",
    type=Whole(1, MAX_WORKERS),
    default=1,
    show_default=True,
    metavar="N",
    help="How many to add.",
)
@click.option(
    "--foreground", is_flag=True, help="Stay; Ctrl-C or SIGTERM stops them gracefully."
)
@click.option("--json", "as_json", is_flag=True, help="Print the new workers as JSON.")
@pass_connector
def start(connector: Connector, *, count: int, foreground: bool, as_json: bool) -> int:
    """Add workers; return when they are ready.

    The number wanted is kept: a daemon that starts again has as many. Those started
    with --foreground do not count, and end when this command ends, however it does;
    a second Ctrl-C interrupts their jobs, which become pending again.
    """
    with connector.connect() as client:
        params = {"count": count, "bound": foreground}
        started = client.call("workers.start", params)
        workers: list[Worker] = started["workers"]
        if as_json:
            output.document(started)
        else:
            numbers = ", ".join(str(found["worker"]) for found in workers)
            output.line(f"{change.counted(len(workers), 'worker')} ready: {numbers}")
        if not foreground:
            return Status.OK
        output.flush()
        return _stay(connector, client, [found["worker"] for found in workers])


@worker.command()
@click.option("--timeout", type=DURATION, help="Interrupt what still runs after this.")
@click.option("--now", is_flag=True, help="Interrupt running jobs at once.")
@click.option("--json", "as_json", is_flag=True, help="The numbers as a JSON object.")
@pass_connector
def stop(
    connector: Connector, *, timeout: float | None, now: bool, as_json: bool
) -> None:
    """Stop all workers; return when every process of theirs is gone.

    No new jobs are begun and running ones end by themselves, unless --timeout or
    --now interrupts them: then they are pending again, and the attempt does not
    count.
    """
    if now and timeout is not None:
        raise click.UsageError("give --timeout or --now, not both")
    params: dict[str, Any] = {"now": now}
    if timeout is not None:
        params["timeout"] = timeout
    with connector.connect(autostart=False) as client:
        busy = client.call("status")["workers"]["busy"]
        if busy and not now:
            output.note(f"waiting for {change.counted(busy, 'running job')}")
        result = client.call("workers.stop", params)
    if as_json:
        output.document(result)
    else:
        _tell_stopped(result)


@worker.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON array, nothing else.")
@pass_connector
def list_workers(connector: Connector, *, as_json: bool) -> None:
    """List the workers and what they run."""
    with connector.connect() as client:
        found = client.call("workers.list")
    workers = found["workers"]
    if as_json:
        output.document(workers)
    elif workers:
        now = time.time()
        output.rows(COLUMNS, [row(each, now) for each in workers])
    else:
        output.note("no workers are running")


def row(found: Worker, now: float) -> tuple[str, ...]:
    """Return a worker's row under ``COLUMNS``."""
    notes = {
        "taken over": found["adopted"],
        "for one job": found.get("reserved", False),
        "foreground": found["bound"] and not found.get("reserved"),
    }
    return (
        str(found["worker"]),
        str(found["pid"]),
        found["state"],
        found["job"] or "",
        str(found["run"] or ""),
        times.age(found["started_at"], now) if found["started_at"] else "",
        ", ".join(note for note, applies in notes.items() if applies),
    )


def _tell_stopped(result: dict[str, int]) -> None:
    output.line(f"{change.counted(result['stopped'], 'worker')} stopped")
    if result["interrupted"]:
        jobs = change.counted(result["interrupted"], "job")
        output.line(f"{jobs} interrupted, and pending again")


class _StopRequested(BaseException):
    """A signal asked for the end."""


def _stay(connector: Connector, client: Session, numbers: list[int]) -> int:
    """Wait for a signal or for the daemon's end; stop these workers."""
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    # One that our parent had ignored stays ignored: see nohup(1).
    heeded = [s for s in signals if signal.getsignal(s) is not signal.SIG_IGN]
    received = 0

    def leave(*_: object) -> NoReturn:
        nonlocal received
        received += 1
        if received > 1:
            # A third one ends us, and leaves the rest to the daemon.
            for number in heeded:
                signal.signal(number, signal.SIG_DFL)
        raise _StopRequested

    for number in heeded:
        signal.signal(number, leave)
    params: dict[str, Any] = {"workers": numbers}
    try:
        try:
            client.call("workers.wait")
        except _StopRequested:
            output.note("stopping when the running jobs have ended; again: at once")
            with connector.connect(autostart=False) as other:
                result = other.call("workers.stop", params)
        else:
            output.note("these workers were stopped from elsewhere")
            return Status.OK
    except _StopRequested:
        with connector.connect(autostart=False) as other:
            result = other.call("workers.stop", {**params, "now": True})
    _tell_stopped(result)
    return Status.OK
