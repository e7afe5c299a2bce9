"""Where the daemon and its clients meet: one rule, so that they cannot disagree.

Pure: the environment and the uid are arguments.
"""

from collections.abc import Mapping
from posixpath import isabs, join  # pathlib takes 3 ms to import, a tenth of a command
from typing import NamedTuple

SOCKET_NAME = "queuectl.sock"

LOCK_NAME = "lock"
"""File in the state directory that a running daemon holds with flock(2)."""

DATABASE_NAME = "queuectl.db"

DATABASE_SCHEMA = 3
"""The newest version of the database's schema that this version of queuectld knows."""

LOG_NAME = "queuectld.log"
"""File in the state directory to which a daemon in the background logs."""

SUN_PATH_MAX = 107
"""Bytes in the path of a Unix socket: sun_path less its NUL. See unix(7)."""


class Paths(NamedTuple):
    """The places of one daemon.

    Attributes:
        state_dir: database, output, spool and log. Survives a reboot.
        runtime_dir: socket and workers' records. Survives a restart of the daemon.
        socket: where the daemon listens.
    """

    state_dir: str
    runtime_dir: str
    socket: str


def resolve(environ: Mapping[str, str], home: str) -> Paths:
    """Return the places that this environment means.

    ``QUEUECTL_HOME`` puts everything under one directory. Else the state is in
    ``$XDG_STATE_HOME/queuectl`` and the socket in ``$XDG_RUNTIME_DIR/queuectl``, or
    beside the state where there is no runtime directory. ``QUEUECTL_SOCKET`` moves
    the socket alone. An XDG variable that is no absolute path is ignored, as its
    specification asks.

    Args:
        environ: the process's environment.
        home: the user's home directory.
    """
    if own := environ.get("QUEUECTL_HOME"):
        state = runtime = own
    else:
        base = environ.get("XDG_STATE_HOME", "")
        if not isabs(base):
            base = join(home, ".local", "state")
        state = join(base, "queuectl")
        given = environ.get("XDG_RUNTIME_DIR", "")
        runtime = join(given, "queuectl") if isabs(given) else join(state, "run")
    socket = environ.get("QUEUECTL_SOCKET") or join(runtime, SOCKET_NAME)
    return Paths(state, runtime, socket)
