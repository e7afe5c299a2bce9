"""The daemon itself: the methods of ``Client.daemon``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from queuectl.calls.call import Call, as_model, as_nothing

if TYPE_CHECKING:
    from queuectl.models import DaemonStatus


def status() -> Call[DaemonStatus]:
    """Return the daemon's pid, version, uptime and paths."""
    return Call("daemon.status", {}, as_model("DaemonStatus"))


def stop(*, now: bool = False) -> Call[None]:
    """Tell the daemon to stop, and return at once; ``wait_closed`` waits for the end.

    Args:
        now: interrupt running jobs at once, instead of after ``shutdown_grace``.
    """
    return Call("daemon.stop", {"now": now}, as_nothing)


def restart() -> Call[None]:
    """Tell the daemon to exit and leave its workers to the next; return at once."""
    return Call("daemon.restart", {}, as_nothing)
