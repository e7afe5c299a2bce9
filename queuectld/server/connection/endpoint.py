"""Opens a listening socket and its file; replaces a stale file, and no other."""

import contextlib
import os
import socket
import stat
from dataclasses import dataclass
from pathlib import Path

from queuectl_protocol.paths import SUN_PATH_MAX

BACKLOG = 1024
"""Connections that the kernel queues until they are accepted; at most
net.core.somaxconn."""


class ListenError(Exception):
    """No socket can listen at this path; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A listening socket, and its file if this daemon made it.

    Attributes:
        path: the file; None if another program made it, such as systemd.
        identity: device and inode of the file.
    """

    socket: socket.socket
    path: Path | None = None
    identity: tuple[int, int] | None = None

    @property
    def address(self) -> Path | None:
        """The path at which clients connect; None: it is no file."""
        name = self.socket.getsockname()
        # The name of an abstract socket is bytes; see unix(7).
        return Path(name) if isinstance(name, str) and name else None

    def is_there(self) -> bool:
        """Whether the path leads to this socket, as far as can be seen."""
        address = self.address
        if address is None:
            return True
        try:
            found = _identity(address)
        except OSError:
            return False
        return self.identity is None or found == self.identity

    def remove(self) -> None:
        """Remove the file, unless another daemon has replaced it.

        If it cannot be removed, the next daemon replaces it.
        """
        if self.path is None:
            return
        with contextlib.suppress(OSError):
            if _identity(self.path) == self.identity:
                self.path.unlink()


def open_endpoint(path: Path) -> Endpoint:
    """Listen at ``path``, for this user alone.

    Raises:
        ListenError: the path is too long, taken by something that lives, or refused
            by the kernel.
    """
    size = len(os.fsencode(path))
    if size > SUN_PATH_MAX:
        raise ListenError(
            f"the socket's path has {size} bytes and the kernel allows {SUN_PATH_MAX}: "
            f"{path}; choose a shorter one with --socket or QUEUECTL_SOCKET"
        )
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _remove_stale(path)
        return Endpoint(_listen(path), path, _identity(path))
    except OSError as error:
        raise ListenError(f"cannot listen at {path}: {error.strerror}") from None


def _listen(path: Path) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listening.bind(os.fspath(path))
        # Nobody can connect before listen(), so the mode that bind() gave does no harm.
        path.chmod(0o600)
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


def _remove_stale(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode) and not stat.S_ISLNK(mode):
        raise ListenError(
            f"{path} is there and is no socket; move it away, or choose another path"
        )
    if _answers(path):
        raise ListenError(
            f"another daemon answers at {path}; stop it with: queuectl daemon stop"
        )
    path.unlink(missing_ok=True)


def _answers(path: Path) -> bool:
    """Return whether a process listens at ``path``, without sending anything."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        # A blocking probe would wait for a daemon whose backlog is full.
        probe.setblocking(False)
        try:
            probe.connect(os.fspath(path))
        except (ConnectionRefusedError, FileNotFoundError, NotADirectoryError):
            return False
        except BlockingIOError:
            return True
        return True


def _identity(path: Path) -> tuple[int, int]:
    status = path.lstat()
    return status.st_dev, status.st_ino
