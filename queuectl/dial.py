"""Connects a socket to the daemon of a place; waits for that daemon or starts it.

It does not know what is sent over the socket.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from queuectl.errors import (
    AutostartError,
    DaemonNotRunningError,
    DaemonUnreachableError,
    ForbiddenError,
    QueuectlError,
    RequestTimeoutError,
)
from queuectl.paths import Place, Queue, exists, may_start
from queuectl_protocol.paths import LOCK_NAME, SYSTEM_GROUP, SYSTEM_SOCKET

PATIENCE = 5.0
"""Seconds to wait for a daemon that runs and does not answer. It is starting; or it has
closed its socket and is ending, and another may follow."""

_USER_UNIT = "systemd/user/queuectld.socket"
"""The unit of a user's own queue, below that user's configuration."""

_RETRY_INTERVAL = 0.02
"""Seconds between two attempts to connect to such a daemon."""

_MAX_TIMEOUT = 2.0**31
"""Seconds, 68 years: the longest time limit that is given to the kernel."""

_TIMEVAL = struct.Struct("@ll")
"""The value of SO_SNDTIMEO. See socket(7)."""


def connect(
    place: Place, *, autostart: bool, timeout: float | None = None
) -> socket.socket:
    """Return a socket, not blocking, connected to the daemon of ``place``.

    Args:
        place: where the daemon should be.
        autostart: start a daemon when none answers, if a client may start it
            (``paths.may_start``).
        timeout: seconds that the daemon may take to accept.

    Raises:
        DaemonNotRunningError: nobody answers; also ``AutostartError``, and
            ``DaemonUnreachableError`` when a daemon runs all the same.
        ForbiddenError: this user may not use the socket.
        RequestTimeoutError: it was not accepted in time.
    """
    try:
        return _connect(place, timeout)
    except DaemonNotRunningError:
        if place.queue is not Queue.USER:
            raise
        if found := _await_running(place, timeout):
            return found
        if not autostart or not may_start(place):
            raise
    return _start(place, timeout)


def _connect(place: Place, timeout: float | None) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if timeout is not None:
            # A non-blocking socket would fail at once while others wait to be accepted.
            # This one waits, for a limited time.
            connection.setsockopt(
                socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(timeout)
            )
        connection.connect(place.socket)
        connection.setblocking(False)
    except OSError as error:
        connection.close()
        raise _connect_error(place, error) from None
    except BaseException:
        connection.close()
        raise
    return connection


def _timeval(seconds: float) -> bytes:
    # Zero means no limit, and the kernel takes a C long.
    microseconds = max(1, round(min(seconds, _MAX_TIMEOUT) * 1_000_000))
    return _TIMEVAL.pack(*divmod(microseconds, 1_000_000))


def _connect_error(place: Place, error: OSError) -> QueuectlError:
    path = place.socket
    if isinstance(error, BlockingIOError):
        return RequestTimeoutError(f"the daemon at {path} did not accept in time")
    if isinstance(error, PermissionError):
        return ForbiddenError(
            f"you may not use the socket {path}; {_access_hint(place)}"
        )
    return DaemonNotRunningError(
        f"no daemon answers at {path} ({error.strerror}); {_start_hint(place)}"
    )


def _access_hint(place: Place) -> str:
    if place.queue is Queue.USER:
        return (
            "its directory is closed to you: set HOME to your home, or QUEUECTL_HOME "
            "to a directory of yours"
        )
    if place.socket == SYSTEM_SOCKET:
        return (
            f"have root add you to the group {SYSTEM_GROUP} (usermod --append "
            f"--groups {SYSTEM_GROUP} {_me()}) and log in again, or use {_OWN_QUEUE}"
        )
    return f"ask its owner, or use {_OWN_QUEUE}"


_OWN_QUEUE = "a queue of your own: queuectl --user daemon start"


def _me() -> str:
    return os.environ.get("LOGNAME") or os.environ.get("USER") or "YOU"


def _start_hint(place: Place) -> str:
    """Return the command that starts the daemon.

    A daemon that a person starts by hand would prevent the start of a service's own.
    """
    if place.socket == SYSTEM_SOCKET:
        root = "start its service" + (", as root" if os.geteuid() else "")
        return f"{root}: systemctl start queuectld"
    if place.queue is Queue.SOCKET:
        home = os.path.dirname(place.socket)  # noqa: PTH120 - pathlib is slow
        if exists(home) and os.access(home, os.W_OK):
            from shlex import quote  # noqa: PLC0415 - few commands give a hint

            own = f"QUEUECTL_HOME={quote(home)} queuectl --user daemon start"
            return f"start the one of that directory: {own}"
        return f"start the daemon that listens there, or {_OWN_QUEUE}"
    if _has_user_unit(os.environ):
        return "start its socket: systemctl --user start queuectld.socket"
    if not may_start(place):
        return (
            "start root's own: queuectl --user daemon start, or use the system's: "
            "queuectl --system status"
        )
    return f"start one: {place.command('daemon start')}"


def _has_user_unit(environ: Mapping[str, str]) -> bool:
    """Tell whether the unit of a user's own queue is installed."""
    if environ.get("QUEUECTL_HOME"):
        return False
    config = environ.get("XDG_CONFIG_HOME", "")
    if not config.startswith("/"):
        config = os.path.expanduser("~/.config")  # noqa: PTH111 - pathlib is slow
    return os.path.exists(f"{config}/{_USER_UNIT}")  # noqa: PTH110


def _try(place: Place, timeout: float | None) -> socket.socket | None:
    try:
        return _connect(place, timeout)
    except DaemonNotRunningError:
        return None


def _await_running(place: Place, timeout: float | None) -> socket.socket | None:
    """Return a connection to the daemon that holds the lock; None if none holds it.

    Raises:
        DaemonUnreachableError: a daemon held it all the time, and never answered.
    """
    deadline = time.monotonic() + PATIENCE
    lock = f"{place.state_dir}/{LOCK_NAME}"
    with _start_lock(place.state_dir, fcntl.LOCK_SH):
        while _is_held(lock):
            if found := _try(place, timeout):
                return found
            if time.monotonic() > deadline:
                raise DaemonUnreachableError(
                    f"a daemon{_pid(lock)} holds {lock} but has not answered at "
                    f"{place.socket} for {PATIENCE:g} s; its log says why: "
                    f"{place.command('daemon logs')}"
                )
            time.sleep(_RETRY_INTERVAL)
    # It may have opened its socket after the attempt to connect, and released the lock.
    return _try(place, timeout)


@contextmanager
def _start_lock(directory: str, kind: int) -> Iterator[None]:
    """Hold a lock on the state directory while starting a daemon or testing its lock.

    A client tests the daemon's lock by taking it for a moment. A daemon that starts at
    that moment would conclude that another one runs. So clients that start a daemon
    hold this lock exclusively, and those that test its lock share it. Without a
    directory there is no daemon.
    """
    try:
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        yield
        return
    try:
        fcntl.flock(handle, kind)
        yield
    finally:
        os.close(handle)


def _is_held(lock: str) -> bool:
    try:
        handle = os.open(lock, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        # Shared, so that clients that test it at the same time do not find each other.
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(handle)


def _pid(lock: str) -> str:
    """Return the pid that the daemon has written to its lock."""
    try:
        with open(lock, encoding="ascii", errors="replace") as file:  # noqa: PTH123
            pid = file.read(20).strip()
    except OSError:
        return ""
    return f" (pid {pid})" if pid.isdigit() else ""


def _start(place: Place, timeout: float | None) -> socket.socket:
    from queuectl import autostart  # noqa: PLC0415 - brings subprocess, used rarely

    autostart.prepare(place.state_dir)
    with _start_lock(place.state_dir, fcntl.LOCK_EX):
        # The client that held this lock before has most likely started one.
        if found := _try(place, timeout):
            return found
        failure = autostart.launch(place.state_dir)
    # It may have failed because another daemon, a person's or systemd's, came first.
    if found := _await_running(place, timeout):
        return found
    raise AutostartError(
        failure
        or f"queuectld has started but does not answer at {place.socket}; its log "
        f"says why: {place.command('daemon logs')}"
    )
