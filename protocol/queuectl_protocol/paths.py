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

DATABASE_SCHEMA = 5
"""The newest version of the database's schema that this version of queuectld knows."""

LOG_NAME = "queuectld.log"
"""File in the state directory to which a daemon in the background logs."""

SUN_PATH_MAX = 107
"""Bytes in the path of a Unix socket: sun_path less its NUL. See unix(7)."""

SYSTEM_SOCKET = "/run/queuectl/queuectl.sock"
"""Where the system's queue is reached: systemd/queuectld.socket listens there."""

SYSTEM_GROUP = "queuectl"
"""Whose members that unit lets connect."""

IN_JOB = "QUEUECTL_LEASE"
"""A variable that every process of a job is born with, and no other."""


class Paths(NamedTuple):
    """The places of one daemon.

    Attributes:
        state_dir: database, output, spool, log and workers' records. Survives a reboot.
        socket: where the daemon is reached.
    """

    state_dir: str
    socket: str


def resolve(environ: Mapping[str, str], home: str) -> Paths:
    """Return the places that this environment means.

    ``QUEUECTL_HOME`` is the state directory; else it is ``$XDG_STATE_HOME/queuectl``.
    The socket is in it, and nowhere that depends on a session: from cron or after a
    logout there is no ``XDG_RUNTIME_DIR``, and the queue is the same. An XDG variable
    that is no absolute path is ignored, as its specification asks.

    ``QUEUECTL_SOCKET`` moves the socket alone. In a job, which has it from the daemon
    that runs it, ``QUEUECTL_HOME`` is what somebody asked for, and wins.

    Args:
        environ: the process's environment.
        home: the user's home directory.
    """
    state = own_state(environ, home)
    return Paths(state, named_socket(environ) or join(state, SOCKET_NAME))


def own_state(environ: Mapping[str, str], home: str) -> str:
    """Return the state directory of one's own queue."""
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
