"""Which socket to talk to, and which directories belong to it. Opens nothing."""

import os
from collections.abc import Mapping
from typing import NamedTuple

from queuectl.errors import SocketPathError
from queuectl_protocol.paths import SUN_PATH_MAX, resolve


class Place(NamedTuple):
    """Where a daemon is looked for.

    Attributes:
        socket: the path of its socket.
        state_dir: where it keeps its lock.
        runtime_dir: where it keeps its socket, unless told otherwise.
        explicit: somebody named the socket itself, so it may be another user's or
            the system's: ``state_dir`` says nothing about it, and starting a daemon
            for it is not ours to do.
    """

    socket: str
    state_dir: str
    runtime_dir: str
    explicit: bool


def find(socket: str | None = None, environ: Mapping[str, str] = os.environ) -> Place:
    """Return the place that ``socket``, or else the environment, means.

    Raises:
        SocketPathError: the kernel cannot address a socket with so long a path.
    """
    paths = resolve(environ, os.path.expanduser("~"))  # noqa: PTH111 - pathlib is slow
    chosen = socket or paths.socket
    size = len(os.fsencode(chosen))
    if size > SUN_PATH_MAX:
        raise SocketPathError(
            f"the socket path {chosen} has {size} bytes and the kernel allows "
            f"{SUN_PATH_MAX}; choose a shorter one with QUEUECTL_SOCKET, "
            "QUEUECTL_HOME or XDG_RUNTIME_DIR"
        )
    explicit = bool(socket or environ.get("QUEUECTL_SOCKET"))
    return Place(chosen, paths.state_dir, paths.runtime_dir, explicit)
