"""``daemon``: starts, stops and examines queuectld."""

import os
import select
import signal
from contextlib import suppress
from typing import Any, NoReturn

import click

from queuectl import paths
from queuectl.cli import policy, signals
from queuectl.cli.command_classes import Group
from queuectl.cli.connector import Connector, pass_connector
from queuectl.cli.input import confirm
from queuectl.cli.input.param_types import Whole
from queuectl.cli.view import output
from queuectl.errors import ConnectionLostError, DaemonNotRunningError
from queuectl.paths import Queue
from queuectl.sync.session import Session
from queuectl_protocol.paths import LOG_NAME
from queuectl_protocol.units import format_duration, format_size


@click.group(cls=Group)
def daemon() -> None:
    """The daemon that keeps the queue and its workers.

    The commands that put something into your own queue start it, unless
    --no-autostart is given. The daemon of another queue is started by its service
    manager.

    $ queuectl daemon status
    $ queuectl daemon restart             running jobs go on
    $ queuectl daemon logs --follow
    """


@daemon.command(rule=policy.BEGINS)
@pass_connector
def start(connector: Connector) -> None:
    """Start the daemon, if it is not running."""
    running = _status(connector)
    if running is None:
        running = _start(connector)
        output.line(f"queuectld is running, pid {running['pid']}")
    else:
        output.line(f"queuectld was running already, pid {running['pid']}")


@daemon.command(rule=policy.ACTS)
@click.option("--now", is_flag=True, help="Interrupt running jobs at once.")
@confirm.yes_option
@pass_connector
def stop(connector: Connector, *, now: bool, yes: bool) -> None:
    """Stop the daemon and its workers; return when it is gone.

    Running jobs have as long as shutdown_grace in queuectld.toml says; then they are
    interrupted, and are pending when the daemon runs again.
    """
    with connector.connect(autostart=False) as client:
        found = client.call("daemon.status")
        busy = found["workers"]["busy"]
        confirm.before_stop(busy, now=now, yes=yes)
        with signals.explained("the daemon goes on with stopping"):
            _end(client, found["pid"], "daemon.stop", {"now": now})
    output.line("queuectld has stopped")


@daemon.command(rule=policy.ACTS)
@pass_connector
def restart(connector: Connector) -> None:
    """End the daemon and start it again; running jobs go on meanwhile."""
    try:
        with connector.connect(autostart=False) as client:
            _end(client, client.call("daemon.status")["pid"], "daemon.restart", {})
    except DaemonNotRunningError:
        output.note("queuectld was not running")
    if connector.place.queue is Queue.USER:
        found = _start_own()
    else:
        output.note("waiting for its service manager to start it")
        with connector.reconnect(autostart=False) as client:
            found = _facts_of(client)
    output.line(f"queuectld is running, pid {found['pid']}")


@daemon.command(rule=policy.LOOKS)
@click.option("--json", "as_json", is_flag=True, help="The same as one JSON object.")
@pass_connector
def status(connector: Connector, *, as_json: bool) -> None:
    """Tell whether the daemon runs, since when, and where it keeps what."""
    with connector.connect(autostart=False) as client:
        found = client.call("daemon.status")
    if as_json:
        output.document(found)
    else:
        output.pairs(facts(found))


@daemon.command(rule=policy.LOOKS)
@click.option("-f", "--follow", is_flag=True, help="Go on with new lines.")
@click.option(
    "-n",
    "--lines",
    type=Whole(min=0),
    default=50,
    show_default=True,
    metavar="N",
    help="How many of the last lines.",
)
@pass_connector
def logs(connector: Connector, *, follow: bool, lines: int) -> NoReturn:
    """Print the log of a daemon that runs in the background.

    One that systemd runs writes to the journal: journalctl -u queuectld.
    """
    place = connector.place
    if place.queue is not Queue.USER:
        raise click.ClickException(
            f"the daemon at {place.socket} keeps its log itself; one of systemd's is "
            "in the journal: journalctl -u queuectld"
        )
    path = os.path.join(place.state_dir, LOG_NAME)  # noqa: PTH118 - as in paths
    if not os.path.exists(path):  # noqa: PTH110 - as in paths
        raise click.ClickException(
            f"there is no log at {path}; a daemon in the foreground writes to its "
            "terminal, and one of systemd's to the journal: "
            "journalctl --user -u queuectld"
        )
    # Python ignores SIGPIPE. tail would inherit that, and complain instead of ending.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    # tail -F goes on after the log's rotation, and every Linux has it.
    mode = ["-F"] if follow else []
    os.execvp("tail", ["tail", "-n", str(lines), *mode, "--", path])  # noqa: S606, S607


def facts(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Return titles and values of a running daemon."""
    workers = found["workers"]
    counts = f"{workers['active']} ({workers['busy']} busy, {workers['wanted']} wanted)"
    return [
        ("State", "draining" if found["draining"] else "running"),
        ("Pid", str(found["pid"])),
        ("Version", found["version"]),
        ("Up for", format_duration(found["uptime"])),
        ("Workers", counts),
        ("Connections", str(found["connections"])),
        ("Memory", format_size(found["rss"])),
        ("Socket", found["socket"]),
        ("State directory", found["state_dir"]),
        ("Limits of jobs", _limits(found.get("limits"))),
    ]


def _limits(told: dict[str, Any] | None) -> str:
    """Return which limits jobs can have; older daemons do not tell."""
    if told is None:
        return ""
    available = ", ".join([*told["controllers"], "nice", "rlimits"])
    missing = told["missing"]
    return f"{available}; no more: {missing}" if missing else available


def _status(connector: Connector) -> dict[str, Any] | None:
    try:
        with connector.connect(autostart=False) as client:
            found: dict[str, Any] = client.call("daemon.status")
    except DaemonNotRunningError:
        return None
    return found


def _start(connector: Connector) -> dict[str, Any]:
    """Start the daemon, also with --no-autostart, as it is asked for by name."""
    if not paths.may_start(connector.place):
        # If nobody answers, the error says who is to start it.
        with connector.connect(autostart=False) as client:
            return _facts_of(client)
    return _start_own()


def _start_own() -> dict[str, Any]:
    output.keep()
    with Session(autostart=True, queue=Queue.USER) as client:
        return _facts_of(client)


def _facts_of(client: Session) -> dict[str, Any]:
    found: dict[str, Any] = client.call("daemon.status")
    return found


def _end(client: Session, pid: int, method: str, params: dict[str, Any]) -> None:
    """Ask the daemon to end; return when its process is gone."""
    try:
        process = os.pidfd_open(pid)
    except OSError:  # it may be in another pid namespace
        process = None
    with suppress(ConnectionLostError):  # it may end before its reply arrives
        client.call(method, params)
    if process is None:
        client.wait_closed()
    else:
        select.select([process], [], [])
        os.close(process)
