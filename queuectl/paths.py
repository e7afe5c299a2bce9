"""Which queue to use, and where it is. Looks at paths and opens nothing.

All commands and both Python clients take the first of these that applies:

1. the queue that the caller names: by a socket, or as the user's own or the system's;
2. the queue that the environment names: ``QUEUECTL_SOCKET``, else ``QUEUECTL_HOME``.
   In a job ``QUEUECTL_HOME`` goes first: the daemon sets ``QUEUECTL_SOCKET`` there;
3. the user's own queue, if its state directory has a database or a lock;
4. the system's queue, if there is one that this user may use;
5. the user's own queue, which does not exist yet.
"""

import os
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from queuectl.errors import SocketPathError
from queuectl_protocol.paths import (
    DATABASE_NAME,
    LOCK_NAME,
    SOCKET_NAME,
    SUN_PATH_MAX,
    SYSTEM_SOCKET,
    named_socket,
    own_state,
)

# As strings: pathlib takes 3 ms to import, a tenth of a command.
# ruff: noqa: PTH110, PTH111, PTH114, PTH115, PTH117, PTH118

UNIT_DIRS = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)
"""The directories of the system's units. See systemd.unit(5)."""

UNITS = ("queuectld.socket", "queuectld.service")


class Queue(StrEnum):
    """Whose queue it is, as far as the client knows."""

    USER = "user"
    """The user's own."""

    SYSTEM = "system"
    """The one of the system's service."""

    SOCKET = "socket"
    """Not known: only the path of its socket is."""


class Place(NamedTuple):
    """The place of a queue's daemon.

    Attributes:
        queue: whose queue it is.
        socket: the path of its socket.
        state_dir: the state directory of the user's own queue; that of another queue is
            not known.
        chosen: an option or a variable names this queue.
        options: the options that make a command use this queue.
    """

    queue: Queue
    socket: str
    state_dir: str
    chosen: bool
    options: tuple[str, ...] = ()

    def command(self, words: str) -> str:
        """Return a command for a person to type that uses this queue."""
        from shlex import quote  # noqa: PLC0415 - few commands give a hint

        return " ".join(["queuectl", *map(quote, self.options), words])


def find(
    socket: str | None = None,
    environ: Mapping[str, str] = os.environ,
    *,
    queue: str | None = None,
) -> Place:
    """Return the place of the queue that the caller names, or else of the usual one.

    Args:
        socket: the path of a daemon's socket.
        environ: this process's environment.
        queue: instead of a socket, ``user`` or ``system``.

    Raises:
        SocketPathError: the path of the socket is too long for the kernel, or HOME is a
            relative path.
        ValueError: both are given, or there is no such queue.
    """
    if queue not in {None, Queue.USER, Queue.SYSTEM} or (socket and queue):
        raise ValueError('give a socket, or queue="user", or queue="system"')
    state = own_state(environ, _home())
    if socket:
        return _named(socket, state, ("--socket", socket))
    if queue == Queue.SYSTEM:
        return _system(state, chosen=True)
    if queue == Queue.USER:
        _check_home(environ)
        return _own(state, chosen=True, options=("--user",))
    return _usual(state, environ)


def _usual(state: str, environ: Mapping[str, str]) -> Place:
    if named := named_socket(environ):
        return _named(named, state, ())
    if environ.get("QUEUECTL_HOME"):
        return _own(state, chosen=True)
    _check_home(environ)
    if not exists(state) and system_is_there():
        return _system(state, chosen=False)
    return _own(state, chosen=False)


def exists(state_dir: str) -> bool:
    """Tell whether there is a queue in a directory, with or without a daemon."""
    return any(
        os.path.lexists(f"{state_dir}/{name}") for name in (DATABASE_NAME, LOCK_NAME)
    )


def system_is_there() -> bool:
    """Tell whether there is a system's queue that this user may use.

    For root there is one also while its service is stopped: root hardly ever wants a
    daemon of its own beside the service.
    """
    return os.access(SYSTEM_SOCKET, os.W_OK) or (
        os.geteuid() == 0
        and any(os.path.exists(f"{d}/{unit}") for d in UNIT_DIRS for unit in UNITS)
    )


def may_start(place: Place) -> bool:
    """Tell whether a client may start the daemon of a place.

    It may start that of the user's own queue. Beside a service of the system, root may
    start one only if root's own queue was named.
    """
    if place.queue is not Queue.USER:
        return False
    return place.chosen or os.geteuid() != 0 or not system_is_there()


def _check_home(environ: Mapping[str, str]) -> None:
    """Refuse a relative HOME if the queue would be there.

    Raises:
        SocketPathError: the place of the queue would depend on the current directory.
    """
    home = os.environ.get("HOME", "")
    elsewhere = environ.get("QUEUECTL_HOME") or os.path.isabs(
        environ.get("XDG_STATE_HOME", "")
    )
    if home and not os.path.isabs(home) and not elsewhere:
        raise SocketPathError(
            f"your home is {home!r}, which leads nowhere for certain; set HOME to an "
            "absolute path, or QUEUECTL_HOME"
        )


def _home() -> str:
    home = os.path.expanduser("~")
    # A uid without an account and without HOME has none. The daemon does the same.
    return home if home.startswith("/") else "/"


def _own(state: str, *, chosen: bool, options: tuple[str, ...] = ()) -> Place:
    socket = os.path.join(state, SOCKET_NAME)
    if _length(socket) > SUN_PATH_MAX and os.path.islink(socket):
        # The daemon listens at a shorter path, and has made a link to it here.
        socket = os.readlink(socket)
    return _checked(Place(Queue.USER, socket, state, chosen, options))


def _system(state: str, *, chosen: bool) -> Place:
    options = ("--system",) if chosen else ()
    return Place(Queue.SYSTEM, SYSTEM_SOCKET, state, chosen, options)


def _named(socket: str, state: str, options: tuple[str, ...]) -> Place:
    return _checked(Place(Queue.SOCKET, socket, state, chosen=True, options=options))


def _checked(place: Place) -> Place:
    if (size := _length(place.socket)) > SUN_PATH_MAX:
        raise SocketPathError(
            f"the socket path {place.socket} has {size} bytes and the kernel allows "
            f"{SUN_PATH_MAX}; choose a shorter one with QUEUECTL_HOME, or have the "
            "daemon listen at one: docs/configuration.md"
        )
    return place


def _length(path: str) -> int:
    return len(os.fsencode(path))
