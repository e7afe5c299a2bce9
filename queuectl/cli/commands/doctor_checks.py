"""What ``doctor`` examines without the daemon. Changes nothing, opens no SQLite."""

import os
import platform
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from shlex import quote
from typing import Any

from queuectl.errors import SocketPathError
from queuectl.paths import Place, Queue
from queuectl_protocol.paths import DATABASE_NAME, DATABASE_SCHEMA
from queuectl_protocol.units import format_size

NETWORK = frozenset(
    {"9p", "afs", "ceph", "cifs", "fuse.sshfs", "glusterfs", "lustre", "nfs", "nfs4"}
    | {"smb2", "smb3", "smbfs", "virtiofs"}
)
"""File systems on which SQLite's locks or shared memory do not work as it needs."""

LITTLE_SPACE = 100 * 1024 * 1024
"""Free bytes below which the queue may soon refuse jobs."""

APPLICATION_ID = b"quct"
"""The application id in the header of queuectld's database."""


@dataclass(frozen=True, slots=True)
class Check:
    """One finding.

    Attributes:
        level: ``ok``, ``warning`` or ``error``.
        advice: what to do; None: nothing.
    """

    name: str
    level: str
    detail: str
    advice: str | None

    def to_json(self) -> dict[str, Any]:
        """Return the finding as a JSON object, as the daemon does."""
        return asdict(self)


def local_checks(find: Callable[[], Place]) -> Iterator[Check]:
    """Yield the findings on this machine, for this user.

    Args:
        find: returns the place of the queue.
    """
    yield _python()
    yield _sqlite()
    yield _kernel()
    try:
        place = find()
    except SocketPathError as error:
        yield Check("socket", "error", str(error), None)
        return
    if place.queue is Queue.USER:
        yield _directory("state directory", place.state_dir)
        yield _permissions([place.state_dir])
        yield _file_system(place.state_dir)
        yield _space(place.state_dir)
        yield _database(f"{place.state_dir}/{DATABASE_NAME}")
    yield _socket(place.socket)


def _python() -> Check:
    return Check("python", "ok", f"{platform.python_version()}, {sys.executable}", None)


def _sqlite() -> Check:
    try:
        import sqlite3  # noqa: PLC0415 - if it is missing, that is a finding
    except ImportError as error:
        advice = "install Python's sqlite3 module"
        return Check("sqlite", "error", str(error), advice)
    version = sqlite3.sqlite_version
    if has_wal_reset_bug(sqlite3.sqlite_version_info):
        detail = f"{version} has the WAL-reset bug, but that takes two writers"
        advice = "queuectld is the only one: let no other program write to its database"
        return Check("sqlite", "ok", detail, advice)
    return Check("sqlite", "ok", version, None)


def has_wal_reset_bug(version: tuple[int, int, int]) -> bool:
    """Tell whether a version of SQLite has the WAL-reset bug.

    3.7.0 to 3.51.2 have it; the fix was also put into 3.50.7 and 3.44.6. See
    https://sqlite.org/wal.html#walresetbug.
    """
    fixed_in_series = {(3, 44): 6, (3, 50): 7}
    patch = fixed_in_series.get(version[:2])
    if patch is not None and version[2] >= patch:
        return False
    return (3, 7, 0) <= version <= (3, 51, 2)


def _kernel() -> Check:
    detail = f"{platform.system()} {platform.release()}"
    if not hasattr(os, "pidfd_open") or not sys.platform.startswith("linux"):
        return Check("kernel", "error", detail, "queuectld needs Linux 5.3 or newer")
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError as error:
        advice = "queuectld needs Linux 5.3 or newer, and pidfd_open to be allowed"
        return Check("kernel", "error", f"{detail}: {error.strerror}", advice)
    return Check("kernel", "ok", detail, None)


def _directory(name: str, path: str) -> Check:
    try:
        found = os.stat(path)  # noqa: PTH116 - the paths are strings here
    except FileNotFoundError:
        return Check(name, "ok", f"{path}: will be made", None)
    except OSError as error:
        return Check(name, "error", f"{path}: {error.strerror}", None)
    detail = f"{path}: uid {found.st_uid}"
    if not stat.S_ISDIR(found.st_mode):
        return Check(name, "error", f"{path}: not a directory", "move it away")
    if found.st_uid != os.geteuid() or not os.access(path, os.W_OK | os.X_OK):
        advice = _how_to_write(path, found)
        return Check(name, "error", detail, advice)
    return Check(name, "ok", detail, None)


def _how_to_write(path: str, found: os.stat_result) -> str:
    """Return how to make a directory writable for this user."""
    elsewhere = "or set QUEUECTL_HOME to a directory of yours"
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        return (
            f"it is on a file system that is mounted read-only: mend that, {elsewhere}"
        )
    if found.st_uid == os.geteuid():
        return f"let yourself write to it: chmod u+rwx {quote(path)}; {elsewhere}"
    # Only root can change the owner of a file.
    return (
        f"have root make it yours: chown -R {os.geteuid()} {quote(path)}; {elsewhere}"
    )


def _permissions(directories: list[str]) -> Check:
    """Examine modes: commands, environments and output may hold secrets."""
    found = [path for path in directories if os.path.isdir(path)]  # noqa: PTH112
    modes = {path: stat.S_IMODE(os.stat(path).st_mode) for path in found}  # noqa: PTH116
    wide = {path: mode for path, mode in modes.items() if mode & 0o077}
    if wide:
        named = ", ".join(f"{path} ({mode:04o})" for path, mode in wide.items())
        advice = f"chmod go= {' '.join(map(quote, wide))}"
        return Check("permissions", "warning", f"open to others: {named}", advice)
    return Check("permissions", "ok", "closed to others", None)


def _file_system(path: str) -> Check:
    kind = file_system(_existing(path), _mounts())
    detail = f"{path} is on {kind}"
    if kind in NETWORK:
        advice = "set QUEUECTL_HOME to a directory on a local disk"
        return Check("file system", "error", detail, advice)
    return Check("file system", "ok", detail, None)


def _mounts() -> list[str]:
    with open("/proc/self/mounts", encoding="utf-8", errors="replace") as mounts:  # noqa: PTH123
        return mounts.read().splitlines()


def file_system(path: str, mounts: list[str]) -> str:
    """Return the type of the file system of a path.

    Args:
        path: absolute, without symbolic links.
        mounts: lines of /proc/self/mounts. See fstab(5) for their fields.
    """
    best, kind = "", "unknown"
    for mount in mounts:
        _, where, what, *_ = mount.split(" ")
        where = where.encode("latin-1", "replace").decode("unicode_escape")
        inside = path == where or path.startswith(where.rstrip("/") + "/")
        if inside and len(where) >= len(
            best
        ):  # the later of two mounts at one place hides the other
            best, kind = where, what
    return kind


def _space(path: str) -> Check:
    found = os.statvfs(_existing(path))
    free = found.f_bavail * found.f_frsize
    if free < LITTLE_SPACE:
        advice = "free some space: queuectl prune deletes old jobs and their output"
        return Check("space", "warning", f"{format_size(free)} free", advice)
    return Check("space", "ok", f"{format_size(free)} free", None)


def _database(path: str) -> Check:
    """Examine the database's header for what keeps every daemon from opening it.

    The daemon examines the rest.
    """
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - the paths are strings here
            header = file.read(100)
            size = os.stat(file.fileno()).st_size  # noqa: PTH116 - as above
    except FileNotFoundError:
        return Check("database", "ok", f"{path}: will be made", None)
    except OSError as error:
        return Check("database", "error", f"{path}: {error.strerror}", None)
    # With a log: the missing part may be there, not yet written to the file.
    logged = os.path.exists(f"{path}-wal")  # noqa: PTH110 - as above
    fault = _fault(header, size, logged=logged) if header else None
    if fault:
        return Check("database", "error", f"{path}: {fault[0]}", fault[1])
    return Check("database", "ok", f"{path}: its header is valid", None)


def _fault(header: bytes, size: int, *, logged: bool) -> tuple[str, str] | None:
    """Return what is wrong with a database and what to do about it; None if nothing.

    See sqlite.org/fileformat2.html, 1.3, for the fields of the header.
    """
    restore = "move it away and restore a backup in its place (docs/howto/backup.md)"
    application, schema = header[68:72], int.from_bytes(header[60:64], "big")
    new = not any(application) and logged
    if not header.startswith(b"SQLite format 3\0"):
        return "damaged, or no database", restore
    if application != APPLICATION_ID and not new:
        elsewhere = "move it away, or set QUEUECTL_HOME to another directory"
        return "another program's", elsewhere
    if schema > DATABASE_SCHEMA:
        known = f"schema version {schema}, and this version knows up to "
        upgrade = "install the newer queuectl again, or restore a backup of before"
        return f"{known}{DATABASE_SCHEMA}", upgrade
    if size < _size(header) and not logged:
        return "cut short", restore
    return None


def _size(header: bytes) -> int:
    """Return the size of a database in bytes by its header; 0 if it does not say."""
    page, pages = int.from_bytes(header[16:18], "big"), header[28:32]
    current = header[24:28] == header[92:96]
    # The field cannot hold 65,536; 1 stands for it.
    return (page if page > 1 else 65_536) * int.from_bytes(pages, "big") * current


def _existing(path: str) -> str:
    path = os.path.realpath(path)
    while not os.path.exists(path):  # noqa: PTH110 - the paths are strings here
        path = os.path.dirname(path)  # noqa: PTH120 - as above
    return path


def _socket(path: str) -> Check:
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - the paths are strings here
    except FileNotFoundError:
        return Check("socket", "ok", f"{path}: none yet", None)
    except OSError as error:
        return Check("socket", "error", f"{path}: {error.strerror}", None)
    if not stat.S_ISSOCK(mode):
        return Check("socket", "error", f"{path}: not a socket", "move it away")
    detail = f"{path}: mode {stat.S_IMODE(mode):04o}"
    if mode & stat.S_IWOTH:
        close = f"chmod 0600 {quote(path)}"
        advice = f"whoever can write to it can run code as its owner: {close}"
        return Check("socket", "warning", f"{detail}: open to all", advice)
    return Check("socket", "ok", detail, None)
