"""Messages between systemd and a service: sd_notify(3), sd_listen_fds(3).

The environment and the pid are arguments; nothing is read at import or logged.
"""

import contextlib
import os
import socket
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path

FIRST_FD = 3
"""SD_LISTEN_FDS_START."""

SEND_TIMEOUT = 1.0
"""Seconds. A manager that does not read must not delay the daemon for longer."""


class ActivationError(Exception):
    """systemd passed something other than a listening Unix stream socket."""


@dataclass(frozen=True, slots=True)
class PassedSocket:
    """A socket that systemd has opened for the daemon.

    Attributes:
        name: from FileDescriptorName=.
    """

    name: str
    socket: socket.socket

    @property
    def path(self) -> Path | None:
        """Its file; None for an abstract address."""
        address = self.socket.getsockname()
        return Path(address) if isinstance(address, str) and address else None


class Notifier:
    """Sends messages to the service manager; does nothing if there is none.

    Every method returns whether the message was sent. A failure does not matter for
    long: the manager has its timeouts.
    """

    def __init__(self, address: str | None) -> None:
        """Take NOTIFY_SOCKET's value: a path, or ``@`` and an abstract name."""
        self._address = address

    @classmethod
    def take(cls, environ: MutableMapping[str, str]) -> "Notifier":
        """Return the notifier of this environment, and remove its variable.

        Children must not send messages in the name of the daemon.
        """
        return cls(environ.pop("NOTIFY_SOCKET", None))

    @property
    def heard(self) -> bool:
        """Whether there is a service manager."""
        return bool(self._address)

    def ready(self, status: str, *, main_pid: int | None = None) -> bool:
        """Say that the service answers; also ends ``reloading``.

        Args:
            status: as for ``status``.
            main_pid: the process that the manager should signal and wait for.
        """
        main = [] if main_pid is None else [f"MAINPID={main_pid}"]
        return self._send("READY=1", f"STATUS={_line(status)}", *main)

    def status(self, text: str) -> bool:
        """Set the line that ``systemctl status`` shows.

        Does not wait if the manager is behind with its messages.
        """
        return self._send(f"STATUS={_line(text)}", timeout=0)

    def extend(self, seconds: float) -> bool:
        """Ask for time: a start or stop may take so long from now.

        It never shortens the time that the manager grants anyway. It also postpones the
        watchdog.
        """
        return self._send(f"EXTEND_TIMEOUT_USEC={round(seconds * 1_000_000)}")

    def reloading(self, monotonic: float) -> bool:
        """Say that the configuration is read again; ``ready`` must follow.

        Args:
            monotonic: seconds of CLOCK_MONOTONIC.
        """
        return self._send(
            "RELOADING=1",
            f"MONOTONIC_USEC={round(monotonic * 1_000_000)}",
            "STATUS=reloading",
        )

    def stopping(self, status: str) -> bool:
        """Say that the service is stopping."""
        return self._send("STOPPING=1", f"STATUS={_line(status)}")

    def watchdog(self) -> bool:
        """Say that the service is alive."""
        return self._send("WATCHDOG=1")

    def _send(self, *lines: str, timeout: float = SEND_TIMEOUT) -> bool:
        address = self._address
        if not address or address[0] not in "/@":
            return False
        if address[0] == "@":
            address = "\0" + address[1:]
        message = "\n".join(lines).encode()
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(timeout)
                sender.sendto(message, address)
        except OSError:
            return False
        return True


def take_watchdog(environ: MutableMapping[str, str], pid: int) -> float | None:
    """Return the seconds between two watchdog messages, and remove the variables.

    It is half of the manager's timeout, as sd_watchdog_enabled(3) advises. None: the
    manager has no watchdog for this process.
    """
    period = environ.pop("WATCHDOG_USEC", "")
    for_pid = environ.pop("WATCHDOG_PID", str(pid))
    if for_pid != str(pid) or not period.isdigit() or int(period) == 0:
        return None
    return int(period) / 2 / 1_000_000


def manager_pid(environ: Mapping[str, str]) -> int:
    """Return the pid of the manager that started a service with this environment.

    MANAGERPID is for services of a user's manager, see systemd.exec(5); the system's
    manager is process 1.
    """
    pid = environ.get("MANAGERPID", "")
    return int(pid) if pid.isdigit() else 1


def take_listeners(environ: MutableMapping[str, str], pid: int) -> list[PassedSocket]:
    """Return the sockets that systemd passed, and remove the variables.

    Children must not use them: the sockets are closed at exec.

    Raises:
        ActivationError: one of them is not a listening Unix stream socket.
    """
    for_pid = environ.pop("LISTEN_PID", "")
    count = environ.pop("LISTEN_FDS", "")
    names = environ.pop("LISTEN_FDNAMES", "").split(":")
    if for_pid != str(pid) or not count.isdigit():
        return []
    fds = range(FIRST_FD, FIRST_FD + int(count))
    names += [""] * (len(fds) - len(names))
    return [_listener(fd, name) for fd, name in zip(fds, names, strict=False)]


def is_journal(fd: int, environ: Mapping[str, str]) -> bool:
    """Return whether ``fd`` leads to the journal.

    Processes inherit JOURNAL_STREAM even if their stderr leads elsewhere, so it is
    compared with the descriptor's device and inode, see systemd.exec(5).
    """
    with contextlib.suppress(OSError):
        status = os.fstat(fd)
        return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"
    return False


def _listener(fd: int, name: str) -> PassedSocket:
    try:
        os.set_inheritable(fd, False)
        passed = socket.socket(fileno=fd)
    except OSError as error:
        raise _unusable(fd, name, str(error)) from None
    if flaw := _flaw(passed):
        passed.close()
        raise _unusable(fd, name, flaw)
    return PassedSocket(name, passed)


def _flaw(passed: socket.socket) -> str | None:
    if (passed.family, passed.type) != (socket.AF_UNIX, socket.SOCK_STREAM):
        return "it is no Unix stream socket"
    if not passed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return "it does not listen"
    return None


def _unusable(fd: int, name: str, reason: str) -> ActivationError:
    return ActivationError(
        f"systemd passed file descriptor {fd} ({name or 'no name'}), but {reason}; "
        "the socket unit needs ListenStream= with a path, and Accept=no"
    )


def _line(text: str) -> str:
    """Return the text without line ends, which would begin another field."""
    return " ".join(text.splitlines())
