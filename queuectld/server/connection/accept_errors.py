"""Logs that clients cannot be accepted for lack of descriptors: once a minute at most.

asyncio tries again every second, and reports each failure to the loop's exception
handler.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from queuectld.host import logs

TOLD_EVERY = 60.0
"""Seconds between two such records."""

_ACCEPT_FAILED = "socket.accept() out of system resource"  # asyncio.selector_events

_log = logs.get("server")


class AcceptErrorReporter:
    """The loop's exception handler; passes other errors to the default handler."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._told_at: float | None = None

    def __call__(
        self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]
    ) -> None:
        """Handle an error that no coroutine awaits."""
        if context.get("message") != _ACCEPT_FAILED:
            loop.default_exception_handler(context)
            return
        now = self._now()
        if self._told_at is None or now - self._told_at >= TOLD_EVERY:
            self._told_at = now
            _log.error(
                "clients_not_accepted",
                why=str(context.get("exception")),
                advice="raise the limit (ulimit -Hn, LimitNOFILE=), or lower "
                "max_connections",
            )
