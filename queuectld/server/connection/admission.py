"""Admission control: what all connections together may hold and have at work.

Each connection has limits of its own, but there may be a thousand connections. A client
that sends small requests and reads its replies holds nothing between two turns of the
loop, and is not counted.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol

from queuectld.server.schema.method import Method

LARGE = 64 * 1024
"""Bytes from which a request counts as large."""

AT_WORK = 8 * 1024 * 1024
"""Bytes of large requests that are parsed and carried out at a time. The others wait
unparsed: a parsed byte may take twenty (8 MiB of two-letter words take 170 MB)."""

REPLIES_AT_WORK = 16
"""Large replies that are made at a time. More would not be faster: the store reads for
one at a time."""


class Holder(Protocol):
    """A connection, as admission control sees it."""

    def shed(self) -> None:
        """Close the connection and free what it holds."""

    def proceed(self) -> None:
        """Start the requests that may start now."""


class Admission:
    """Counts for all connections what they hold and what is at work.

    Attributes:
        held: bytes of incomplete frames, of requests that did not start, and of replies
            that are not read.
        replies: acquired while a large reply is made, never while its client is waited
            for.
    """

    def __init__(self) -> None:
        self._holders: dict[Holder, int] = {}
        self._at_work = 0
        self._queue: dict[Holder, None] = {}
        self.held = 0
        self.replies = asyncio.Semaphore(REPLIES_AT_WORK)

    def hold(self, holder: Holder, size: int, limit: int) -> None:
        """Record what a connection holds now; over the limit, close the worst holders.

        It is not enough to stop reading: all clients might wait to complete a frame.
        """
        self.held += size - self._holders.get(holder, 0)
        if size:
            self._holders[holder] = size
        else:
            self._holders.pop(holder, None)
        while self.held > limit:
            worst = self._longest_holder()
            self.held -= self._holders.pop(worst)
            worst.shed()

    def _longest_holder(self) -> Holder:
        """Return the longest holder of those with half of an equal share or more.

        Not the largest holder: it may be a client that was just sent a page and will
        soon read it. Not the oldest of all: it may be a slow client that holds little.
        """
        share = self.held / len(self._holders)
        return next(each for each, size in self._holders.items() if 2 * size >= share)

    def release(self, holder: Holder) -> None:
        """Forget a connection that holds nothing."""
        self.held -= self._holders.pop(holder, 0)
        self._queue.pop(holder, None)

    def admits(self, holder: Holder, size: int) -> bool:
        """Whether a request may start now; if not, ``proceed`` is called later.

        Small requests have as much room again, so that large ones do not delay them.
        """
        limit = AT_WORK if size >= LARGE else 2 * AT_WORK
        if self._at_work + size <= limit or not self._at_work:
            return True
        self._queue[holder] = None
        return False

    def begin(self, weight: int) -> None:
        """Count a request that starts."""
        self._at_work += weight

    def end(self, weight: int) -> None:
        """Count a request that has ended, and let waiting connections proceed."""
        self._at_work -= weight
        if self._queue:
            waiting, self._queue = self._queue, {}
            for holder in waiting:
                holder.proceed()


def weight(method: Method, arguments: Mapping[str, Any], size: int) -> int:
    """Return what a request counts while it is at work: 0, or its size in bytes.

    Checked arguments are short, except lists and maps. A request that may wait for its
    client counts nothing: its client could hold up all the others.
    """
    if method.waits or method.bulky:
        return 0
    large = any(isinstance(value, list | dict) for value in arguments.values())
    return size if large else 0
