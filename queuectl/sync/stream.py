"""The events of one request as an iterator, then its result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar

from queuectl.sync.link import Link

E = TypeVar("E")
R = TypeVar("R")


class EventStream(Generic[E, R]):
    """The events of a request, as an iterator.

    A caller may leave it early: ``close`` it, use it as a context manager, or just drop
    it. The daemon is then told to stop.

    Args:
        link: the connection.
        request_id: the id of the request that opened the stream.
        event: makes an event from its map; returns None for one to skip.
        result: makes the result from that of the final reply.

    Attributes:
        result: the result, after the last event. It is also the value of the
            ``StopIteration``.
    """

    def __init__(
        self,
        link: Link,
        request_id: int,
        event: Callable[[dict[str, Any]], E | None],
        result: Callable[[Any], R],
    ) -> None:
        self.result: R | None = None
        self._link = link
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

    def __exit__(self, *error: object) -> None:
        self.close()

    def __del__(self) -> None:
        # Python may call this at any point, so it does not use the socket: the next
        # request tells the daemon.
        self._drop()

    def close(self) -> None:
        """End the stream, if it has not ended."""
        self._drop()
        self._link.write()

    def _next_body(self) -> dict[str, Any] | None:
        """Wait for an event; return None when the stream has ended."""
        mailbox = self._link.mailbox
        while not self._ended:
            if (body := mailbox.event(self._id)) is not None:
                return body
            if mailbox.answered(self._id):
                self._ended = True
                self.result = self._read_result(mailbox.take(self._id))
            else:
                self._link.pump(None)
        return None

    def _drop(self) -> None:
        mailbox = self._link.mailbox
        if self._ended:
            return
        self._ended = True
        mailbox.forget(self._id)
        if not mailbox.ended:
            unfollow, data = mailbox.request("unfollow", {"sub": self._id})
            mailbox.forget(unfollow)
            self._link.queue(data)
