"""Which queue to talk to, and where it is. Looks at paths and opens nothing.

The order, the same for every command and for the Python clients:

1. what was asked for: a socket, or one's own, or the system's;
2. what the environment names: ``QUEUECTL_SOCKET``, else ``QUEUECTL_HOME``; in a job,
   which has the one from its daemon, first the other;
3. one's own queue, if there is one: its state directory has a database or a lock;
4. the system's, if there is one that this user may use;
5. one's own, which is yet to be made.
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
"""Where the system's units are. See systemd.unit(5)."""

UNITS = ("queuectld.socket", "queuectld.service")


class Queue(StrEnum):
    """Which queue, as far as its place tells."""

    USER = "user"
    """One's own."""

    SYSTEM = "system"
    """That of the system's service."""

    SOCKET = "socket"
    """Anybody's: its socket was named, and nothing else is known of it."""


class Place(NamedTuple):
    """Where a daemon is looked for.

    Attributes:
        queue: which it is.
        socket: the path of its socket.
        state_dir: where one's own daemon keeps its lock; of others nothing is known.
        chosen: somebody named this queue, by an option or a variable.
        options: what a command needs to mean the same queue.
    """

    queue: Queue
    socket: str
    state_dir: str
    chosen: bool
    options: tuple[str, ...] = ()

    def command(self, words: str) -> str:
        """Return a command for a person to type, so that it means this queue."""
        from shlex import quote  # noqa: PLC0415 - few commands give a hint

        return " ".join(["queuectl", *map(quote, self.options), words])


def find(
    socket: str | None = None,
    environ: Mapping[str, str] = os.environ,
    *,
    queue: str | None = None,
) -> Place:
    """Return the place of the queue that was asked for, or else of the usual one.

    Args:
        socket: the path of a daemon's socket.
        environ: this process's environment.
        queue: instead of a socket, ``user`` or ``system``.

    Raises:
        SocketPathError: the kernel cannot address a socket with so long a path, or HOME
            is a relative one.
        ValueError: both were given, or there is no such queue.
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
    """Tell whether there is a queue in that directory, running or not."""
    return any(
        os.path.lexists(f"{state_dir}/{name}") for name in (DATABASE_NAME, LOCK_NAME)
    )


def system_is_there() -> bool:
    """Tell whether there is a system's queue that this user may use.

    For root there is one also while its service is stopped: a daemon of root's own
    beside it is hardly ever what is meant.
    """
    return os.access(SYSTEM_SOCKET, os.W_OK) or (
        os.geteuid() == 0
        and any(os.path.exists(f"{d}/{unit}") for d in UNIT_DIRS for unit in UNITS)
    )


def may_start(place: Place) -> bool:
    """Tell whether a command that needs a daemon may start it for that place.

    Never for a socket, which is its daemon's to open, and for root not beside a
    service of the system, unless root's own queue was named.
    """
    if place.queue is not Queue.USER:
        return False
    return place.chosen or os.geteuid() != 0 or not system_is_there()


def _check_home(environ: Mapping[str, str]) -> None:
    """Refuse a home that depends on where a command runs, if the queue would be there.

    Raises:
        SocketPathError: there is no telling where the queue is.
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
    # A uid that has no account, and no HOME, has none; so the daemon takes it.
    return home if home.startswith("/") else "/"


def _own(state: str, *, chosen: bool, options: tuple[str, ...] = ()) -> Place:
    socket = os.path.join(state, SOCKET_NAME)
    if _length(socket) > SUN_PATH_MAX and os.path.islink(socket):
        # The way round: the daemon listens elsewhere, and has left a link here.
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
