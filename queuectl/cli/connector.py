"""How every command reaches the daemon: what the root options say of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import click

from queuectl.client import Client
from queuectl.errors import ConnectionLostError

T = TypeVar("T")

RECONNECTS = 5
"""Times in a row that a long wait finds a new daemon and loses it at once."""


@dataclass(frozen=True, slots=True)
class Connector:
    """The root options.

    Attributes:
        socket: where the daemon listens; None for the usual place.
        autostart: whether a daemon may be started when none answers.
    """

    socket: str | None
    autostart: bool

    def connect(self, *, autostart: bool = True) -> Client:
        """Return a connection to the daemon.

        Args:
            autostart: False for commands that have no use for a fresh daemon.

        Raises:
            DaemonNotRunningError: nobody answers.
        """
        return Client(self.socket, autostart=self.autostart and autostart)

    def persist(self, read: Callable[[Client], T]) -> T:
        """Return what ``read`` returns, also across restarts of the daemon.

        Jobs survive a restart of the daemon, so waiting for one does too. ``read``
        must change nothing: it is called again on a new connection.
        """
        for _ in range(RECONNECTS):
            try:
                with self.connect() as client:
                    return read(client)
            except ConnectionLostError:
                continue
        with self.connect() as client:
            return read(client)


pass_connector = click.make_pass_decorator(Connector)
