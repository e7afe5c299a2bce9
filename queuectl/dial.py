"""From a place to a connected socket, with the waiting and starting that may take.

Knows nothing of what is said over the socket.
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
    ForbiddenError,
    QueuectlError,
    RequestTimeoutError,
)
from queuectl.paths import Place
from queuectl_protocol.paths import LOCK_NAME, SOCKET_NAME

PATIENCE = 5.0
"""Seconds to wait for a daemon that runs and does not answer: it is starting, or has
closed its socket and is ending, and another may follow."""

SYSTEM_SOCKET = "/run/queuectl/queuectl.sock"
"""Where systemd/queuectld.socket listens."""

SYSTEM_GROUP = "queuectl"
"""Whose members that unit lets connect."""

_USER_UNIT = "systemd/user/queuectld.socket"
"""The unit of a user's own queue, below that user's configuration."""

_PAUSE = 0.02
"""Seconds between two looks at such a daemon."""

_TIMEVAL = struct.Struct("@ll")
"""What SO_SNDTIMEO takes. See socket(7)."""


def connect(
    place: Place, *, autostart: bool, timeout: float | None = None
) -> socket.socket:
    """Return a socket, not blocking, connected to the daemon of ``place``.

    Args:
        place: where it is looked for.
        autostart: whether a daemon may be started when none answers. Never done for
            a socket that was named explicitly.
        timeout: seconds that the daemon may take to accept.

    Raises:
        DaemonNotRunningError: nobody answers; also ``AutostartError``.
        ForbiddenError: the socket is not this user's to use.
        RequestTimeoutError: it was not accepted in time.
    """
    try:
        return _connect(place.socket, timeout)
    except DaemonNotRunningError:
        if place.explicit:
            raise
        if found := _outwait(place, timeout):
            return found
        if not autostart:
            raise
    return _start(place, timeout)


def _connect(path: str, timeout: float | None) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if timeout is not None:
            # A socket that does not block would fail at once while others wait to be
            # accepted; this one waits, and no longer than it may.
            connection.setsockopt(
                socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(timeout)
            )
        connection.connect(path)
        connection.setblocking(False)
    except OSError as error:
        connection.close()
        raise _reason(path, error) from None
    except BaseException:
        connection.close()
        raise
    return connection


def _timeval(seconds: float) -> bytes:
    microseconds = max(1, round(seconds * 1_000_000))  # zero would mean: for ever
    return _TIMEVAL.pack(*divmod(microseconds, 1_000_000))


def _reason(path: str, error: OSError) -> QueuectlError:
    if isinstance(error, BlockingIOError):
        return RequestTimeoutError(f"the daemon at {path} did not accept in time")
    if isinstance(error, PermissionError):
        return ForbiddenError(
            f"you may not use the socket {path}; {_way_in(path)}, or unset "
            "QUEUECTL_SOCKET to use a daemon of your own"
        )
    return DaemonNotRunningError(
        f"no daemon answers at {path} ({error.strerror}); {_way_to_start(path)}"
    )


def _way_in(path: str) -> str:
    if path == SYSTEM_SOCKET:
        return (
            f"have root add you to the group {SYSTEM_GROUP} (usermod --append "
            f"--groups {SYSTEM_GROUP} YOU) and log in again"
        )
    return "ask its owner"


def _way_to_start(path: str) -> str:
    """Return what to type: a daemon by hand would be in the way of a service's own."""
    if path == SYSTEM_SOCKET:
        return "start its service, as root: systemctl start queuectld"
    if _is_of_user_unit(path, os.environ):
        return "start its socket: systemctl --user start queuectld.socket"
    return "start one: queuectl daemon start"


def _is_of_user_unit(path: str, environ: Mapping[str, str]) -> bool:
    """Tell whether the unit of a user's own queue is installed and listens there."""
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    config = environ.get("XDG_CONFIG_HOME", "")
    if not config.startswith("/"):
        config = os.path.expanduser("~/.config")  # noqa: PTH111 - pathlib is slow
    listens = f"{runtime}/queuectl/{SOCKET_NAME}"
    return path == listens and os.path.exists(f"{config}/{_USER_UNIT}")  # noqa: PTH110


def _try(place: Place, timeout: float | None) -> socket.socket | None:
    try:
        return _connect(place.socket, timeout)
    except DaemonNotRunningError:
        return None


def _outwait(place: Place, timeout: float | None) -> socket.socket | None:
    """Return a connection to the daemon that holds the lock; None when none does.

    Raises:
        DaemonNotRunningError: one held it all the time, and never answered.
    """
    deadline = time.monotonic() + PATIENCE
    lock = f"{place.state_dir}/{LOCK_NAME}"
    with _turn(place.runtime_dir, fcntl.LOCK_SH):
        while _is_held(lock):
            if found := _try(place, timeout):
                return found
            if time.monotonic() > deadline:
                raise DaemonNotRunningError(
                    f"a daemon holds {lock} but has not answered at {place.socket} "
                    f"for {PATIENCE:g} s; its log says why: queuectl daemon logs"
                )
            time.sleep(_PAUSE)
    # It may have opened its socket, and even ended, between our two looks.
    return _try(place, timeout)


@contextmanager
def _turn(directory: str, kind: int) -> Iterator[None]:
    """Keep clients that start a daemon apart from each other and from those that look.

    To look at the daemon's lock is to take it for a moment, and a daemon that starts
    at that moment would believe that another one runs. The directory itself is the
    lock; where there is none, there is no daemon to keep apart from.
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
        # Shared, so that clients that look at the same time do not see each other.
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(handle)


def _start(place: Place, timeout: float | None) -> socket.socket:
    from queuectl import autostart  # noqa: PLC0415 - brings subprocess, used rarely

    autostart.prepare(place.runtime_dir)
    with _turn(place.runtime_dir, fcntl.LOCK_EX):
        # Whoever had the turn before us has most likely started one.
        if found := _try(place, timeout):
            return found
        complaint = autostart.launch()
    # The complaint may be that another daemon, a person's or systemd's, came first.
    if found := _outwait(place, timeout):
        return found
    raise AutostartError(
        complaint
        or f"queuectld has started but does not answer at {place.socket}; "
        "does its configuration name another socket?"
    )
