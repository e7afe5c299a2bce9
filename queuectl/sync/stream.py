"""The events of one request as an iterator, then its result."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from queuectl.sync.link import Wire

E = TypeVar("E")
R = TypeVar("R")


class Stream(Generic[E, R]):
    """What a request brings until it ends.

    Leaving it early is fine: ``close`` it, or use it as a context manager, or just
    drop it; the daemon is told to stop.

    Args:
        wire: the connection.
        request_id: of the request that opened the stream there.
        event: makes an event of its map; None for one that is not of interest.
        result: makes the result of what the final reply holds.

    Attributes:
        result: the result, once the events are exhausted. It is the value of the
            ``StopIteration`` too.
    """

    def __init__(
        self,
        wire: Wire,
        request_id: int,
        event: Callable[[dict[str, Any]], E | None],
        result: Callable[[Any], R],
    ) -> None:
        self.result: R | None = None
        self._wire = wire
        self._id = request_id
        self._read_event = event
        self._read_result = result
        self._ended = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> E:
        while (body := self._next_body()) is not None:
            event = self._read_event(body)
            if event is not None:
                return event
        raise StopIteration(self.result)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        # May run in the middle of anything, so it leaves the socket alone: the daemon
        # is told with the next request.
        self._drop()

    def close(self) -> None:
        """End the stream, if it has not ended."""
        self._drop()
        self._wire.write()

    def _next_body(self) -> dict[str, Any] | None:
        """Wait for an event; return None when the stream has ended."""
        mailbox = self._wire.mailbox
        while not self._ended:
            if (body := mailbox.event(self._id)) is not None:
                return body
            if mailbox.answered(self._id):
                self._ended = True
                self.result = self._read_result(mailbox.take(self._id))
            else:
                self._wire.pump(None)
        return None

    def _drop(self) -> None:
        mailbox = self._wire.mailbox
        if self._ended:
            return
        self._ended = True
        mailbox.forget(self._id)
        if not mailbox.ended:
            unfollow, data = mailbox.request("unfollow", {"sub": self._id})
            mailbox.forget(unfollow)
            self._wire.queue(data)
