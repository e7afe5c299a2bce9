"""From a place to a connected socket, with the waiting and starting that may take.

Knows nothing of what is said over the socket.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import time

from queuectl.errors import (
    AutostartError,
    DaemonNotRunningError,
    ForbiddenError,
    QueuectlError,
    RequestTimeoutError,
)
from queuectl.paths import Place
from queuectl_protocol.paths import LOCK_NAME

PATIENCE = 5.0
"""Seconds to wait for a daemon that runs and does not answer: it is starting, or has
closed its socket and is ending, and another may follow."""

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
            a socket that was named explicitly, nor with ``QUEUECTL_AUTOSTART=0``.
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
        if not autostart or os.environ.get("QUEUECTL_AUTOSTART") == "0":
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
            f"you may not use the socket {path}; ask its owner, or unset "
            "QUEUECTL_SOCKET to use a daemon of your own"
        )
    return DaemonNotRunningError(
        f"no daemon answers at {path} ({error.strerror}); "
        "start one: queuectl daemon start"
    )


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
    lock = os.path.join(place.state_dir, LOCK_NAME)  # noqa: PTH118 - pathlib is slow
    while _is_held(lock):
        if found := _try(place, timeout):
            return found
        if time.monotonic() > deadline:
            raise DaemonNotRunningError(
                f"a daemon holds {lock} but has not answered at {place.socket} for "
                f"{PATIENCE:g} s; its log says what it does: queuectl daemon logs"
            )
        time.sleep(_PAUSE)
    # It may have ended between our two looks, or have opened its socket.
    return _try(place, timeout)


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
    from queuectl import autostart  # noqa: PLC0415 - subprocess costs 9 ms, used rarely

    with autostart.turn(place.runtime_dir):
        # Whoever had the turn before us has most likely started one.
        if found := _try(place, timeout):
            return found
        complaint = autostart.launch()
        if found := _try(place, timeout):
            return found
    # Somebody else's daemon came first (a person's, systemd's), and is on its way.
    if complaint and (found := _outwait(place, timeout)):
        return found
    raise AutostartError(
        complaint
        or f"queuectld has started but does not answer at {place.socket}; "
        "does its configuration name another socket?"
    )
