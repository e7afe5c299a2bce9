"""How every command reaches the daemon: what the root options say of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import click

from queuectl.errors import (
    ConnectionLostError,
    DaemonNotRunningError,
    ShuttingDownError,
)

if TYPE_CHECKING:
    from queuectl.session import Session

T = TypeVar("T")

RECONNECTS = 5
"""Times that a long wait loses its daemon before it gives up."""

PATIENCE = 10.0
"""Seconds in which the next daemon is expected, when one was stopped."""

PAUSE = 0.1
"""Seconds between two looks for it."""


class Connector:
    """The root options.

    Args:
        socket: where the daemon listens; None for the usual place.
        autostart: whether a daemon may be started when none answers.
    """

    def __init__(self, socket: str | None, autostart: bool) -> None:
        self.socket = socket
        self.autostart = autostart

    def connect(self, *, autostart: bool = True) -> Session:
        """Return a connection to the daemon.

        Args:
            autostart: False for commands that have no use for a fresh daemon.

        Raises:
            DaemonNotRunningError: nobody answers.
        """
        from queuectl.cli.asking import Asking  # noqa: PLC0415 - --help connects to none

        return Asking(self.socket, autostart=self.autostart and autostart)

    def persist(self, read: Callable[[Session], T]) -> T:
        """Return what ``read`` returns, also across restarts of the daemon.

        Jobs survive a restart of the daemon, so waiting for one does too. ``read``
        must change nothing: it is called again on a new connection.
        """
        autostart, left = True, RECONNECTS
        while True:
            try:
                with self.reconnect(autostart=autostart) as client:
                    return read(client)
            except (ConnectionLostError, ShuttingDownError) as error:
                # One that was stopped is not to be started because somebody waits.
                autostart = not isinstance(error, ShuttingDownError)
                left -= 1
                if not left:
                    raise

    def reconnect(self, *, autostart: bool) -> Session:
        """Connect to the daemon that follows one that has just ended.

        Args:
            autostart: start it, instead of waiting for somebody who does.

        Raises:
            DaemonNotRunningError: there is none yet after ``PATIENCE``.
        """
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return self.connect(autostart=autostart)
            except DaemonNotRunningError:
                if autostart or time.monotonic() > deadline:
                    raise
            time.sleep(PAUSE)


pass_connector = click.make_pass_decorator(Connector)
