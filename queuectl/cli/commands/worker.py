"""``worker``: starts, stops and lists the processes that run jobs."""

import time
from collections.abc import Iterable
from typing import Any

import click

from queuectl.cli import policy, signals
from queuectl.cli.command_classes import Group, options
from queuectl.cli.commands import worker_foreground
from queuectl.cli.connector import Connector, pass_connector
from queuectl.cli.input import confirm
from queuectl.cli.input.param_types import DURATION, Whole
from queuectl.cli.view import output, times
from queuectl.cli.view.table import Column
from queuectl.cli.view.text import counted
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


@worker.command(rule=policy.BEGINS)
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
def start(connector: Connector, *, count: int, foreground: bool, as_json: bool) -> None:
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
            listed = ", ".join(str(found["worker"]) for found in workers)
            output.line(f"{counted(len(workers), 'worker')} ready: {listed}")
        if foreground:
            output.flush()
            numbers = [found["worker"] for found in workers]
            stopped = worker_foreground.stay(connector, client, numbers)
            if stopped is not None:
                _print_stopped(stopped)


_stop_options = options(
    click.option(
        "--timeout", type=DURATION, help="Interrupt what still runs after this."
    ),
    click.option("--now", is_flag=True, help="Interrupt running jobs at once."),
    confirm.yes_option,
    click.option(
        "--json", "as_json", is_flag=True, help="What was done as a JSON object."
    ),
)


@worker.command(rule=policy.BEGINS)
@click.argument("count", type=Whole(0, MAX_WORKERS), metavar="N")
@_stop_options
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
    params = {"count": count, **_grace(timeout, now=now)}
    with connector.connect() as client:
        if now:
            found = client.call("workers.list")["workers"]
            too_many = sum(not each["bound"] for each in found) - count
            busy = jobs_affected_by_stop(client, (), max(0, too_many))
            confirm.demand_interruption(busy, yes=yes)
        result = client.call("workers.scale", params)
    if as_json:
        output.document(result)
        return
    if started := result["started"]:
        numbers = ", ".join(str(found["worker"]) for found in started)
        output.line(f"{counted(len(started), 'worker')} started: {numbers}")
    if result["stopped"]:
        _print_stopped(result)
    elif not started:
        output.line(f"{counted(result['wanted'], 'worker')} wanted already")


@worker.command(rule=policy.ACTS)
@click.argument("workers", type=Whole(1), nargs=-1, metavar="[WORKER]...")
@click.option(
    "-n",
    "--count",
    type=Whole(1, MAX_WORKERS),
    metavar="N",
    help="Stop so many, the idle first.",
)
@_stop_options
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
    params = _grace(timeout, now=now)
    if count is not None:
        params["count"] = count
    if workers:
        params["workers"] = list(workers)
    with connector.connect(autostart=False) as client:
        busy = jobs_affected_by_stop(client, workers, count)
        confirm.before_stop(busy, now=now, yes=yes)
        with signals.explained("the workers go on with stopping"):
            result = client.call("workers.stop", params)
    if as_json:
        output.document(result)
    else:
        _print_stopped(result)


def _grace(timeout: float | None, *, now: bool) -> dict[str, Any]:
    """Return the parameters that say how long running jobs may go on."""
    if now and timeout is not None:
        raise click.UsageError("give --timeout or --now, not both")
    return {"now": now} if timeout is None else {"now": now, "timeout": timeout}


def jobs_affected_by_stop(
    client: Session, workers: tuple[int, ...], count: int | None
) -> int:
    """Return how many running jobs a stop affects.

    Raises:
        ClickException: there is no such worker.
    """
    found: list[Worker] = client.call("workers.list")["workers"]
    known = {each["worker"] for each in found}
    for number in workers:
        if number not in known:
            raise click.ClickException(
                f"there is no worker {number}; queuectl worker list tells them"
            )
    if count is None:
        return _running(
            each for each in found if not workers or each["worker"] in workers
        )
    free = [each for each in found if not each["bound"]]  # a count stops no others
    busy = _running(free)
    return min(busy, max(0, count - (len(free) - busy)))  # the idle go first


def _running(found: Iterable[Worker]) -> int:
    return sum(each["job"] is not None for each in found)


@worker.command("list", rule=policy.LOOKS)
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


def _print_stopped(result: dict[str, int]) -> None:
    output.line(f"{counted(result['stopped'], 'worker')} stopped")
    if result["interrupted"]:
        jobs = counted(result["interrupted"], "job")
        output.line(f"{jobs} interrupted, and pending again")
