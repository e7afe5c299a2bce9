"""Connections to the daemon, as the options of the root command select it."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cached_property, partial
from typing import TYPE_CHECKING, TypeVar

import click

from queuectl import paths
from queuectl.cli import policy
from queuectl.cli.view import output
from queuectl.errors import (
    ConnectionLostError,
    DaemonNotRunningError,
    ShuttingDownError,
)
from queuectl.paths import Place, Queue

if TYPE_CHECKING:
    from queuectl.sync.session import Session

T = TypeVar("T")

RECONNECTS = 5
"""Connections that a long wait may lose before it gives up."""

PATIENCE = 10.0
"""Seconds to wait for the next daemon after one was stopped."""

PAUSE = 0.1
"""Seconds between two attempts to connect to it."""


class Connector:
    """Makes connections.

    Args:
        socket: what ``--socket`` says; None if it was not given.
        autostart: whether the daemon may be started if none answers.
        queue: ``user`` or ``system`` if the queue was selected so.
    """

    def __init__(
        self, socket: str | None, autostart: bool, queue: str | None = None
    ) -> None:
        self.socket = socket
        self.autostart = autostart
        self.queue = queue
        self._named = False

    @cached_property
    def place(self) -> Place:
        """The place of the queue.

        Raises:
            SocketPathError: its socket cannot be addressed.
        """
        return paths.find(self.socket, queue=self.queue)

    def connect(self, *, autostart: bool = True) -> Session:
        """Return a connection to the daemon.

        Args:
            autostart: False: do not start it, even if the command's rule allows that.

        Raises:
            DaemonNotRunningError: nobody answers.
        """
        from queuectl.sync.session import Session  # noqa: PLC0415 - --help connects to none

        if policy.current().changes:
            self.name_queue()
            output.keep()
        started = autostart and self.may_start()
        return Session(self.socket, autostart=started, queue=self.queue)

    def may_start(self) -> bool:
        """Tell whether the command that runs may start the daemon."""
        start = policy.current().start
        if start is policy.Start.EXISTING:
            return self.autostart and paths.exists(self.place.state_dir)
        return self.autostart and start is policy.Start.ALWAYS

    def name_queue(self) -> None:
        """Note which queue is changed if there are two and none was selected."""
        if self._named:
            return
        self._named = True
        place = self.place
        if not place.chosen and place.queue is Queue.USER and paths.system_is_there():
            output.note(
                f"in your own queue, {place.state_dir}; for the system's: "
                "queuectl --system"
            )

    def persist(self, read: Callable[[Session], T]) -> T:
        """Return what ``read`` returns, also across restarts of the daemon.

        Jobs survive a restart of the daemon, so a wait for them does too. ``read`` is
        called again with a new connection, so it must change nothing.
        """
        connect, left = self.connect, RECONNECTS
        while True:
            try:
                with connect() as client:
                    return read(client)
            except (ConnectionLostError, ShuttingDownError) as error:
                # A daemon that was stopped is not started for somebody who waits.
                stopped = isinstance(error, ShuttingDownError)
                connect = partial(self.reconnect, autostart=not stopped)
                left -= 1
                if not left:
                    raise

    def reconnect(self, *, autostart: bool) -> Session:
        """Connect to the daemon that succeeds one that has just ended.

        Args:
            autostart: start it, if this command may; else wait until it is started.

        Raises:
            DaemonNotRunningError: there is none yet after ``PATIENCE``.
        """
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return self.connect(autostart=autostart)
            except DaemonNotRunningError:
                starts = autostart and self.may_start()
                if starts or time.monotonic() > deadline:
                    raise
            time.sleep(PAUSE)


pass_connector = click.make_pass_decorator(Connector)
