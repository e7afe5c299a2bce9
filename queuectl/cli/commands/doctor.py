"""``doctor``: looks for what keeps the queue from working. The daemon need not run."""

import sys
from shlex import quote

import click

from queuectl.cli import policy
from queuectl.cli.command_classes import Command
from queuectl.cli.commands.doctor_checks import Check, local_checks
from queuectl.cli.connector import Connector, pass_connector
from queuectl.cli.exits import Status
from queuectl.cli.view import output, text
from queuectl.errors import (
    DaemonNotRunningError,
    DaemonUnreachableError,
    QueuectlError,
    RequestError,
)
from queuectl.paths import Place
from queuectl_protocol import __version__
from queuectl_protocol.paths import LOCK_NAME

STYLES = {"ok": "green", "warning": "yellow", "error": "red"}


@click.command(cls=Command, rule=policy.LOOKS)
@click.option("--deep", is_flag=True, help="Read the whole database as well.")
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
@pass_connector
def doctor(connector: Connector, *, deep: bool, as_json: bool) -> int:
    """Examine this installation, and the daemon if it runs.

    Ends with 1 if something is wrong that keeps jobs from running. With --deep the
    daemon reads its whole database, which may take a minute; work goes on meanwhile.

    $ queuectl doctor
    $ queuectl doctor --deep
    $ queuectl doctor --json | jq '.checks[] | select(.level != "ok")'
    """
    checks = {check.name: check for check in local_checks(lambda: connector.place)}
    for check in _daemon_checks(connector, {"deep": True} if deep else {}):
        checks[check.name] = check
    if as_json:
        output.document({"checks": [check.to_json() for check in checks.values()]})
    else:
        for check in checks.values():
            _show(check)
    failed = any(check.level == "error" for check in checks.values())
    return Status.FAILED if failed else Status.OK


def _daemon_checks(connector: Connector, params: dict[str, bool]) -> list[Check]:
    """Return the daemon's own findings, which replace local ones of the same name."""
    try:
        with connector.connect(autostart=False) as client:
            found = _same_version(client.greeting["version"])
            told = client.call("doctor", params)["checks"]
            return [found, *(Check(**each) for each in told)]
    except DaemonUnreachableError as error:
        return [Check("daemon", "error", str(error), _how_to_restart(connector.place))]
    except DaemonNotRunningError as error:
        detail = f"not running ({error})"
        return [Check("daemon", "ok", detail, None)]
    except RequestError as error:
        return [Check("daemon", "error", str(error), "look into: queuectl daemon logs")]
    except QueuectlError as error:
        return [Check("daemon", "error", str(error), None)]


def _how_to_restart(place: Place) -> str:
    """Return how to restart a daemon that does not answer."""
    lock = quote(f"{place.state_dir}/{LOCK_NAME}")
    return f"restart it, running jobs go on: kill -USR1 $(cat {lock})"


def _same_version(version: str) -> Check:
    detail = f"running, version {version}"
    if version == __version__:
        return Check("daemon", "ok", detail, None)
    return Check(
        "daemon",
        "warning",
        f"{detail}; this client is {__version__}",
        "queuectl daemon restart (running jobs go on)",
    )


def _show(check: Check) -> None:
    style = STYLES.get(check.level) if output.colour(sys.stdout) else None
    level = text.styled(f"{text.escape(check.level):7}", style)
    output.line(f"{level}  {text.escape(check.name)}: {text.escape(check.detail)}")
    if check.advice:
        output.line(f"{'':9}-> {text.escape(output.hint(check.advice))}")
