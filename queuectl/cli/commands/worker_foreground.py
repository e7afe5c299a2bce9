"""``worker start --foreground``: stays until a signal comes, then stops its workers."""

import signal
from typing import Any, NoReturn

from queuectl.cli import signals
from queuectl.cli.connector import Connector
from queuectl.cli.view import output
from queuectl.sync.session import Session


class _StopRequested(BaseException):
    """A signal asks for the end."""


def stay(
    connector: Connector, client: Session, numbers: list[int]
) -> dict[str, Any] | None:
    """Wait for a signal or for the daemon's end.

    The first signal stops the workers when their jobs have ended, the second one
    interrupts the jobs, and the third one ends this program.

    Args:
        connector: makes a second connection, as ``client`` is waiting.
        client: the connection to which the workers are bound.
        numbers: of the workers.

    Returns:
        What was stopped; None if the workers were stopped by somebody else.
    """
    received = 0

    def leave(*_: object) -> NoReturn:
        nonlocal received
        received += 1
        if received > 1:
            for number in handled:
                signal.signal(number, signal.SIG_DFL)
        raise _StopRequested

    handled = signals.handle(signals.ENDING, leave)
    params: dict[str, Any] = {"workers": numbers}
    try:
        try:
            client.call("workers.wait")
        except _StopRequested:
            output.note("stopping when the running jobs have ended; again: at once")
            return _stop(connector, params)
    except _StopRequested:
        return _stop(connector, {**params, "now": True})
    output.note("these workers were stopped from elsewhere")
    return None


def _stop(connector: Connector, params: dict[str, Any]) -> dict[str, Any]:
    with connector.connect(autostart=False) as client:
        result: dict[str, Any] = client.call("workers.stop", params)
    return result
