"""The directories of one daemon, and the lock that makes it the only one."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from queuectl_protocol.paths import LOCK_NAME
from queuectld.config import DaemonConfig

ALREADY_RUNNING = 4
"""Exit status when another daemon holds the state directory."""

DATABASE_TOO_NEW = 6
"""Exit status when a newer program has written the database: no retry will help."""

NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs",
     "fuse.sshfs", "fuse.glusterfs", "lustre", "ocfs2", "gfs2", "beegfs"}
)  # fmt: skip
"""SQLite's WAL needs shared memory, which these do not have: sqlite.org/wal.html."""


class StartError(Exception):
    """The daemon cannot start; the message says what to do."""

    def __init__(self, message: str, exit_status: int = 1) -> None:
        super().__init__(message)
        self.exit_status = exit_status


@dataclass(frozen=True, slots=True)
class StateDirectory:
    """The state directory, held by this process.

    Attributes:
        identity: differs between this directory and a copy of it, whose store has the
            same uuid, so that neither takes the other's processes for its own.
        lock: the open lock.
    """

    path: Path
    identity: str
    lock: int

    def is_held(self) -> bool:
        """Return whether its path still leads to the lock that is held.

        If not, the directory was deleted or moved: clients find no daemon there, and
        another daemon may start. If it cannot be read, for its mode for example, it
        counts as held until it can be read again.
        """
        try:
            found = (self.path / LOCK_NAME).stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True
        return os.path.samestat(found, os.fstat(self.lock))


@contextmanager
def take(settings: DaemonConfig) -> Iterator[StateDirectory]:
    """Create the directories that are missing; lock the state directory and hold it.

    Raises:
        StartError: it cannot be used, or another daemon holds it.
    """
    try:
        _make(settings)
        lock = os.open(settings.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StartError(
            f"cannot use the state directory {settings.state_dir}: {error.strerror}: "
            f"{error.filename}"
        ) from None
    try:
        _lock(lock, settings)
        status = os.fstat(lock)
        identity = f"{status.st_dev:x}-{status.st_ino:x}"
        yield StateDirectory(settings.state_dir, identity, lock)
    finally:
        os.close(lock)


def file_system(path: Path) -> str:
    """Return the type of the file system that a path is on, as mount(8) names it."""
    resolved = path.resolve()
    mounts = {Path(p.mountpoint): p.fstype for p in psutil.disk_partitions(all=True)}
    for place in (resolved, *resolved.parents):
        if place in mounts:
            return mounts[place]
    return "unknown"


def _make(settings: DaemonConfig) -> None:
    _keep(settings.state_dir)
    settings.runtime_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    kind = file_system(settings.state_dir)
    if kind in NETWORK_FILE_SYSTEMS:
        raise StartError(
            f"the state directory {settings.state_dir} is on a network file system "
            f"({kind}), where SQLite cannot keep its promises; choose a local disk "
            "with --state-dir or QUEUECTL_HOME"
        )
    make_inner(settings)
    _sync(settings.state_dir)


def make_inner(settings: DaemonConfig) -> list[Path]:
    """Create the missing ones of the directories that workers use; return these."""
    inner = (settings.output_dir, settings.spool_dir, settings.workers_dir)
    missing = [path for path in inner if not path.exists()]
    for path in missing:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return missing


def _keep(path: Path) -> None:
    """Make a directory that survives a power cut, with everything in it.

    A synced file is lost all the same if the name of its directory is lost. SQLite
    syncs the names in the directory, but no names above it.
    """
    missing = [each for each in (path, *path.parents) if not each.exists()]
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Also when it exists: the process that made it may have died before the sync.
    for made in missing or [path]:
        _sync(made.parent)


def _sync(path: Path) -> None:
    # A directory that may not be read cannot be synced, but it can be used.
    with suppress(PermissionError):
        directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _lock(lock: int, settings: DaemonConfig) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.pread(lock, 20, 0).decode("ascii", "replace").strip()
        raise StartError(
            f"another queuectld{f' (pid {pid})' if pid else ''} holds the state "
            f"directory {settings.state_dir}",
            ALREADY_RUNNING,
        ) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
