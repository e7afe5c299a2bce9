"""``worker``: the processes that run jobs."""

import signal
import time
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

import click

from queuectl.cli import signals
from queuectl.cli.command_classes import Group
from queuectl.cli.commands import change
from queuectl.cli.connector import Connector, pass_connector
from queuectl.cli.exits import Status
from queuectl.cli.input import confirm
from queuectl.cli.input.param_types import DURATION, Whole
from queuectl.cli.view import output, times
from queuectl.cli.view.table import Column
from queuectl.sync.session import Session

MAX_WORKERS = 256

COLUMNS = (
    Column("WORKER", right=True),
    Column("PID", right=True),
    Column("STATE"),
    Column("AGE", right=True),
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
    $ queuectl worker scale 4             as many as four: starts or stops some
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


_interrupting = (
    click.option(
        "--timeout", type=DURATION, help="Interrupt what still runs after this."
    ),
    click.option("--now", is_flag=True, help="Interrupt running jobs at once."),
    confirm.yes_option,
    click.option(
        "--json", "as_json", is_flag=True, help="What was done as a JSON object."
    ),
)


def _stops(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of all that stop workers."""
    for option in reversed(_interrupting):
        function = option(function)
    return function


@worker.command()
@click.argument("count", type=Whole(0, MAX_WORKERS), metavar="N")
@_stops
@pass_connector
def scale(
    connector: Connector,
    *,
    count: int,
    timeout: float | None,
    now: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Have N workers: start what is missing, or stop what is too many.

    The number is kept, as that of start and stop. Idle workers are stopped first;
    what the others run ends by itself, unless --timeout or --now interrupts it. Those
    of --foreground do not count, and stay. Returns when new workers are ready, and
    the processes of the others gone.
    """
    params = {"count": count, **_patience(timeout, now=now)}
    with connector.connect() as client:
        if now:
            found = client.call("workers.list")["workers"]
            too_many = sum(not each["bound"] for each in found) - count
            busy = met_by_a_stop(client, (), max(0, too_many))
            change.demand_interruption(busy, yes=yes)
        result = client.call("workers.scale", params)
    if as_json:
        output.document(result)
        return
    if started := result["started"]:
        numbers = ", ".join(str(found["worker"]) for found in started)
        output.line(f"{change.counted(len(started), 'worker')} started: {numbers}")
    if result["stopped"]:
        _tell_stopped(result)
    elif not started:
        output.line(f"{change.counted(result['wanted'], 'worker')} wanted already")


@worker.command()
@click.argument("workers", type=Whole(1), nargs=-1, metavar="[WORKER]...")
@click.option(
    "-n",
    "--count",
    type=Whole(1, MAX_WORKERS),
    metavar="N",
    help="Stop so many, the idle first.",
)
@_stops
@pass_connector
def stop(
    connector: Connector,
    *,
    workers: tuple[int, ...],
    count: int | None,
    timeout: float | None,
    now: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Stop all workers, or those with these numbers, or --count of them.

    Returns when every process of theirs is gone. No new jobs are begun and running
    ones end by themselves, unless --timeout or --now interrupts them: then they are
    pending again, and the attempt does not count.
    """
    if workers and count is not None:
        raise click.UsageError("give numbers of workers or --count, not both")
    params = _patience(timeout, now=now)
    if count is not None:
        params["count"] = count
    if workers:
        params["workers"] = list(workers)
    with connector.connect(autostart=False) as client:
        busy = met_by_a_stop(client, workers, count)
        if now:
            change.demand_interruption(busy, yes=yes)
        elif busy:
            output.note(f"waiting for {change.counted(busy, 'running job')}")
        with signals.explained("the workers go on with stopping"):
            result = client.call("workers.stop", params)
    if as_json:
        output.document(result)
    else:
        _tell_stopped(result)


def _patience(timeout: float | None, *, now: bool) -> dict[str, Any]:
    """Return the parameters that say how long running jobs are waited for."""
    if now and timeout is not None:
        raise click.UsageError("give --timeout or --now, not both")
    return {"now": now} if timeout is None else {"now": now, "timeout": timeout}


def met_by_a_stop(client: Session, workers: tuple[int, ...], count: int | None) -> int:
    """Return how many running jobs a stop meets.

    Raises:
        ClickException: there is no such worker.
    """
    found: list[Worker] = client.call("workers.list")["workers"]
    there = {each["worker"] for each in found}
    for number in workers:
        if number not in there:
            raise click.ClickException(
                f"there is no worker {number}; queuectl worker list tells them"
            )
    if count is None:
        return _running(
            each for each in found if not workers or each["worker"] in workers
        )
    free = [each for each in found if not each["bound"]]  # the others stay
    busy = _running(free)
    return min(busy, max(0, count - (len(free) - busy)))  # the idle go first


def _running(found: Iterable[Worker]) -> int:
    return sum(each["job"] is not None for each in found)


@worker.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON array, nothing else.")
@pass_connector
def list_workers(connector: Connector, *, as_json: bool) -> None:
    """List the workers and what they run.

    AGE is the worker's own; FOR is how long its run has taken.
    """
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
        _age(found["started_at"], now),
        found["job"] or "",
        str(found["run"] or ""),
        _age(found.get("run_started_at"), now),
        ", ".join(note for note, applies in notes.items() if applies),
    )


def _age(since: str | None, now: float) -> str:
    return times.age(since, now) if since else ""


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
