"""The checks of ``doctor``: each looks at one thing and tells how it is.

They read, and change nothing. They look at the database's files from outside only: to
open one would drop SQLite's locks (sqlite.org/howtocorrupt.html, 2.2).
"""

import os
import resource
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from queuectl_protocol.paths import SOCKET_NAME
from queuectl_protocol.units import format_size
from queuectld.config import DaemonConfig
from queuectld.control.desired import MAX_WORKERS
from queuectld.host import statedir

SPACE_LOW, SPACE_OUT = 1024**3, 64 * 1024**2
"""Bytes free: below the first is a warning, below the second writes soon fail."""

WAL_LARGE = 256 * 1024**2
"""Bytes. A checkpoint empties the log some seconds after each write."""

FD_OTHERS = 64
"""Descriptors for the store, the log, the loop and output files that are read."""


class Level(StrEnum):
    """How serious a check's result is."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check; ``advice`` says what to do about it."""

    name: str
    level: Level
    detail: str
    advice: str | None = None


def gone(state_dir: Path) -> Check:
    """Tell that the database was removed."""
    return Check(
        "database",
        Level.ERROR,
        f"the database in {state_dir} was removed while the daemon was running; "
        "nothing can be stored any more",
        "put it back if you can, then end this daemon and start it again",
    )


def sqlite(version: str) -> Check:
    """Tell the known faults of a version of SQLite."""
    if not has_wal_reset_bug(version):
        return Check("sqlite", Level.OK, f"SQLite {version}")
    # It needs two connections that write or checkpoint at a time; here one does both.
    return Check(
        "sqlite",
        Level.OK,
        f"SQLite {version} has the WAL-reset bug, which queuectld does not meet: one "
        "connection alone writes and checkpoints",
        "let no other program write to the database",
    )


def has_wal_reset_bug(version: str) -> bool:
    """Whether it is one from 3.7.0 to 3.51.2, fixes not backported to it."""
    major, minor, patch = (int(part) for part in version.split("."))
    number = major, minor, patch
    fixed = {(3, 50): (3, 50, 7), (3, 44): (3, 44, 6)}.get((major, minor), (3, 51, 3))
    return (3, 7, 0) <= number < fixed


def file_system(state_dir: Path) -> Check:
    """Tell what kind of file system the state is on."""
    kind = statedir.file_system(state_dir)
    detail = f"{state_dir} is on {kind}"
    if kind in statedir.NETWORK_FILE_SYSTEMS:
        return Check(
            "file system",
            Level.ERROR,
            f"{detail}, a network file system: the database can be corrupted",
            "choose a state directory on a local disk",
        )
    if kind in {"tmpfs", "ramfs"}:
        return Check(
            "file system",
            Level.WARNING,
            f"{detail}: the queue does not survive a reboot",
            "choose a state directory on a disk",
        )
    return Check("file system", Level.OK, detail)


_ROOM = {
    Level.WARNING: "free some space, or: queuectl prune",
    # To delete a job takes a little room, too.
    Level.ERROR: "remove other files there first: queuectl prune needs room, too",
}
"""Advice for little space, and for almost none."""


def space(state_dir: Path) -> Check:
    """Tell how much space there is for the database and for output."""
    status = os.statvfs(state_dir)
    free = status.f_bavail * status.f_frsize
    level = Level.OK
    if free < SPACE_LOW:
        level = Level.ERROR if free < SPACE_OUT else Level.WARNING
    advice = _ROOM.get(level)
    return Check("space", level, f"{format_size(free)} free in {state_dir}", advice)


def wal(size: int) -> Check:
    """Tell how long the database's write-ahead log is."""
    detail = f"the write-ahead log has {format_size(size)}"
    if size < WAL_LARGE:
        return Check("wal", Level.OK, detail)
    return Check(
        "wal",
        Level.WARNING,
        f"{detail}: checkpoints do not get through",
        "look for a program that reads the database, and end it",
    )


def reach(state_dir: Path) -> Check:
    """Tell whether the state directory leads to the socket: clients look there."""
    path = state_dir / SOCKET_NAME
    if path.is_socket():
        return Check("reach", Level.OK, f"{path} leads to the daemon")
    return Check(
        "reach",
        Level.ERROR,
        f"{path} leads nowhere, so clients do not find the daemon; its log says why",
        "put right what the log names, then restart it, running jobs go on: "
        f"kill -USR1 {os.getpid()}",
    )


def permissions(config: DaemonConfig) -> Check:
    """Tell which private files other users can read or write."""
    open_ones = list(_open_to_others(config))
    if not open_ones:
        return Check("permissions", Level.OK, "state and socket are private")
    return Check(
        "permissions",
        Level.WARNING,
        f"others can read or write: {', '.join(open_ones)}",
        "commands, environments and output may hold secrets: chmod go= them",
    )


def _open_to_others(config: DaemonConfig) -> Iterator[str]:
    # Clients of a system service pass through its runtime directory to the socket. The
    # records in it are protected by their own modes.
    private = {
        config.runtime_dir: 0o022,
        config.state_dir: 0o077,
        config.database: 0o077,
        config.output_dir: 0o077,
        config.spool_dir: 0o077,
    }
    for path, closed in private.items():
        try:
            mode = path.stat().st_mode
        except FileNotFoundError:
            continue
        if mode & closed:
            yield f"{path} ({mode & 0o777:04o})"


def trust(config: DaemonConfig, socket: Path, user: str) -> Check:
    """Tell who may run code here, and as whom: a job is code.

    Args:
        config: its roles.
        socket: the file that clients connect to.
        user: the name of the user that the daemon runs as.
    """
    if config.as_submitter:
        detail = _trust_in_each(config)
    else:
        detail = _trust_in_all(config, user)
    if os.geteuid() == 0 and not config.as_submitter:
        return Check(
            "trust",
            Level.WARNING,
            detail,
            "run the daemon as a user of its own, or each job as its submitter: "
            "docs/howto/run-as-submitter.md",
        )
    try:
        mode = socket.stat().st_mode
    except FileNotFoundError:
        mode = 0  # it was removed, so nobody can connect to it
    if mode & 0o006:
        return Check("trust", Level.WARNING, detail, f"chmod o= {socket}")
    return Check("trust", Level.OK, detail)


def _trust_in_all(config: DaemonConfig, user: str) -> str:
    roles = config.roles
    own = user if user == "root" else f"{user} and root"
    if not roles.members:
        return f"jobs run as {user}; nobody is served but {own}"
    return (
        f"jobs run as {user}, so whoever may submit one can do all that {user} "
        "can: submit equals admin, and roles only prevent accidents; they are, "
        f"besides {own}: {roles}"
    )


def _trust_in_each(config: DaemonConfig) -> str:
    if not config.roles.members:
        return "each job runs as its submitter; nobody is served but root"
    return (
        "each job runs as its submitter, so submit gives nobody more than the own "
        "account; admin equals root, for whom the daemon writes files; roles are, "
        f"besides root: {config.roles}"
    )


def descriptors(config: DaemonConfig) -> Check:
    """Tell whether as many clients and workers as allowed can be open at once."""
    limit, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = config.max_connections + 2 * MAX_WORKERS + FD_OTHERS
    detail = f"{limit} file descriptors allowed, up to {needed} needed"
    if limit >= needed:
        return Check("descriptors", Level.OK, detail)
    return Check(
        "descriptors",
        Level.WARNING,
        detail,
        "raise the limit (ulimit -n, LimitNOFILE=), or lower max_connections",
    )


def workers(active: int, waiting: int) -> Check:
    """Tell whether there are workers for the waiting jobs."""
    detail = f"workers: {active}, waiting jobs: {waiting}"
    if active or not waiting:
        return Check("workers", Level.OK, detail)
    return Check("workers", Level.WARNING, detail, "queuectl worker start --count 2")
