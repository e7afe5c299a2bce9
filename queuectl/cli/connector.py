"""How every command reaches the daemon: what the root options say of it."""

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
"""Times that a long wait loses its daemon before it gives up."""

PATIENCE = 10.0
"""Seconds in which the next daemon is expected, when one was stopped."""

PAUSE = 0.1
"""Seconds between two looks for it."""


class Connector:
    """The root options.

    Args:
        socket: where the daemon listens; None if no socket was asked for.
        autostart: whether a daemon may be started when none answers.
        queue: instead of a socket, ``user`` or ``system``.
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
        """Which queue this is about.

        Raises:
            SocketPathError: its socket cannot be addressed.
        """
        return paths.find(self.socket, queue=self.queue)

    def connect(self, *, autostart: bool = True) -> Session:
        """Return a connection to the daemon.

        Args:
            autostart: whether this command may start it, if it is one that may
                (``policy``).

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
        """Tell whether the command that runs may start the daemon of this queue."""
        start = policy.current().start
        if start is policy.Start.EXISTING:
            return self.autostart and paths.exists(self.place.state_dir)
        return self.autostart and start is policy.Start.ALWAYS

    def name_queue(self) -> None:
        """Say which of two queues is about to be changed, if nobody chose one."""
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

        Jobs survive a restart of the daemon, so waiting for one does too. ``read``
        must change nothing: it is called again on a new connection.
        """
        connect, left = self.connect, RECONNECTS
        while True:
            try:
                with connect() as client:
                    return read(client)
            except (ConnectionLostError, ShuttingDownError) as error:
                # One that was stopped is not to be started because somebody waits.
                stopped = isinstance(error, ShuttingDownError)
                connect = partial(self.reconnect, autostart=not stopped)
                left -= 1
                if not left:
                    raise

    def reconnect(self, *, autostart: bool) -> Session:
        """Connect to the daemon that follows one that has just ended.

        Args:
            autostart: start it, if this command may, instead of waiting for somebody
                who does.

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
