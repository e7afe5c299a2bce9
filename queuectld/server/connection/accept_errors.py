"""Tells that clients cannot be taken for want of descriptors: seldom, and what to do.

asyncio tries again each second by itself, and each time tells it to the loop's
exception handler as if it were news.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from queuectld.host import logs

TOLD_EVERY = 60.0
"""Seconds between two records of it."""

_ACCEPT_FAILED = "socket.accept() out of system resource"  # asyncio.selector_events

_log = logs.get("server")


class AcceptErrorReporter:
    """The loop's exception handler; passes on all that is not its own."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._told_at: float | None = None

    def __call__(
        self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]
    ) -> None:
        """Be told of an error that no coroutine can be told of."""
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
