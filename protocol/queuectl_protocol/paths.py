"""Where the daemon listens and its clients connect: one rule for both.

It reads no environment and no file: both are arguments.
"""

from collections.abc import Mapping
from posixpath import isabs, join  # pathlib takes 3 ms to import, a tenth of a command
from typing import NamedTuple

SOCKET_NAME = "queuectl.sock"

LOCK_NAME = "lock"
"""File in the state directory that a running daemon holds with flock(2)."""

DATABASE_NAME = "queuectl.db"

DATABASE_SCHEMA = 5
"""The newest version of the database's schema that this version of queuectld knows."""

LOG_NAME = "queuectld.log"
"""File in the state directory to which a daemon in the background logs."""

SUN_PATH_MAX = 107
"""Bytes in the path of a Unix socket: sun_path less its NUL. See unix(7)."""

SYSTEM_SOCKET = "/run/queuectl/queuectl.sock"
"""The socket of the system's queue: systemd/queuectld.socket listens there."""

SYSTEM_GROUP = "queuectl"
"""The group whose members may connect to it."""

IN_JOB = "QUEUECTL_LEASE"
"""A variable in the environment of every process of a job, and of no other."""


class Paths(NamedTuple):
    """The places of one daemon.

    Attributes:
        state_dir: database, output, spool, log and workers' records. Survives a reboot.
        socket: the path of the daemon's socket.
    """

    state_dir: str
    socket: str


def resolve(environ: Mapping[str, str], home: str) -> Paths:
    """Return the places that an environment names.

    ``QUEUECTL_HOME`` is the state directory; else it is ``$XDG_STATE_HOME/queuectl``.
    The socket is in it, and not in a directory of a login session: cron has no
    ``XDG_RUNTIME_DIR``, and must find the same queue. An XDG variable that is not an
    absolute path is ignored, as its specification requires.

    ``QUEUECTL_SOCKET`` names another socket. The daemon sets it in its jobs; there
    ``QUEUECTL_HOME`` goes first, because somebody set it on purpose.

    Args:
        environ: the process's environment.
        home: the user's home directory.
    """
    state = own_state(environ, home)
    return Paths(state, named_socket(environ) or join(state, SOCKET_NAME))


def own_state(environ: Mapping[str, str], home: str) -> str:
    """Return the state directory of the user's own queue."""
    if own := environ.get("QUEUECTL_HOME"):
        return own
    base = environ.get("XDG_STATE_HOME", "")
    if not isabs(base):
        base = join(home, ".local", "state")
    return join(base, "queuectl")


def named_socket(environ: Mapping[str, str]) -> str | None:
    """Return the socket that the environment names, if it names one."""
    if environ.get(IN_JOB) and environ.get("QUEUECTL_HOME"):
        return None
    return environ.get("QUEUECTL_SOCKET") or None
