"""What clients make the daemon hold, over all connections: counted, and bounded.

Each connection has bounds of its own, and there may be a thousand. Whoever sends small
requests and reads the replies holds nothing between two turns, and is not counted.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol

from queuectld.server.schema.method import Method

LARGE = 64 * 1024
"""Bytes from which a request is a large one."""

AT_WORK = 8 * 1024 * 1024
"""Bytes of large requests that are read and carried out side by side: the others wait
as they came. Read, each byte may take twenty: as many words of two letters as fit into
8 MiB take 170 MB."""

REPLIES_AT_WORK = 16
"""Large replies that are made side by side: more are no faster, as the store reads for
one at a time."""


class Holder(Protocol):
    """A connection, as far as it holds something."""

    def give_up(self) -> None:
        """Close, and hold nothing from now on."""

    def proceed(self) -> None:
        """Begin what may be begun by now."""


class Admission:
    """The account of all connections.

    Attributes:
        held: bytes of frames that are not complete, of requests that did not begin,
            and of replies that are not read.
        replies: held by who makes a large reply, which must not wait for its client.
    """

    def __init__(self) -> None:
        self._holders: dict[Holder, int] = {}
        self._at_work = 0
        self._queue: dict[Holder, None] = {}
        self.held = 0
        self.replies = asyncio.Semaphore(REPLIES_AT_WORK)

    def hold(self, holder: Holder, size: int, limit: int) -> None:
        """Note what a connection holds now; over the limit, close who holds too much.

        Not to read on would not do: all might be waiting to complete a frame.
        """
        self.held += size - self._holders.get(holder, 0)
        if size:
            self._holders[holder] = size
        else:
            self._holders.pop(holder, None)
        while self.held > limit:
            longest = self._most_tiresome()
            self.held -= self._holders.pop(longest)
            longest.give_up()

    def _most_tiresome(self) -> Holder:
        """Return who has held something for longest, of those with half a share.

        Not who holds most: that may be somebody who was just sent a page, and is about
        to read it. Not the oldest of all: that may be a slow one that holds little.
        """
        share = self.held / len(self._holders)
        return next(each for each, size in self._holders.items() if 2 * size >= share)

    def release(self, holder: Holder) -> None:
        """A connection holds nothing any more, nor will it."""
        self.held -= self._holders.pop(holder, 0)
        self._queue.pop(holder, None)

    def admits(self, holder: Holder, size: int) -> bool:
        """Whether a request may begin now; else its connection is told to proceed.

        Small ones may come to as much again, lest large ones hold them up.
        """
        limit = AT_WORK if size >= LARGE else 2 * AT_WORK
        if self._at_work + size <= limit or not self._at_work:
            return True
        self._queue[holder] = None
        return False

    def begin(self, weight: int) -> None:
        """A request is at work."""
        self._at_work += weight

    def end(self, weight: int) -> None:
        """It has ended: let others have their turn."""
        self._at_work -= weight
        if self._queue:
            waiting, self._queue = self._queue, {}
            for holder in waiting:
                holder.proceed()


def weight(method: Method, arguments: Mapping[str, Any], size: int) -> int:
    """Return what a request counts while it is at work: 0, or the bytes it came in.

    Checked arguments are short, but for lists and maps. What may wait for its client
    must not count, or a client could hold up all the others.
    """
    if method.waits or method.bulky:
        return 0
    large = any(isinstance(value, list | dict) for value in arguments.values())
    return size if large else 0
