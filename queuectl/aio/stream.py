"""The events of one request as an asynchronous iterator, then its result.

The counterpart of ``stream``, with a difference: each has a connection to itself. The
daemon then holds up a stream that is read slowly, without holding up anything else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from queuectl.aio.link import Link

E = TypeVar("E")
R = TypeVar("R")


class AsyncStream(Generic[E, R]):
    """What a request brings until it ends.

    Leaving it early is fine: ``close`` it, or use it as an asynchronous context
    manager, or just drop it; its connection is closed.

    Args:
        connect: makes the connection.
        method: of the request, which is sent when the first event is asked for.
        params: of the request.
        event: makes an event of its map; None for one that is not of interest.
        result: makes the result of what the final reply holds.

    Attributes:
        result: the result, once the events are exhausted.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[Link]],
        method: str,
        params: Mapping[str, Any],
        event: Callable[[dict[str, Any]], E | None],
        result: Callable[[Any], R],
    ) -> None:
        self.result: R | None = None
        self._connect = connect
        self._request = method, params
        self._read_event = event
        self._read_result = result
        self._link: Link | None = None
        self._id = 0
        self._ended = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> E:
        while (body := await self._next_body()) is not None:
            event = self._read_event(body)
            if event is not None:
                return event
        raise StopAsyncIteration

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def __del__(self) -> None:
        if self._link and not self._ended:
            with suppress(RuntimeError):  # the event loop went first
                self._link.abort()

    async def close(self) -> None:
        """End the stream, if it has not ended."""
        self._ended = True
        if self._link:
            self._link.abort()
            await self._link.wait_closed()

    async def _next_body(self) -> dict[str, Any] | None:
        """Wait for an event; return None when the stream has ended."""
        if self._ended:
            return None
        link = self._link or await self._open()
        while (body := link.mailbox.event(self._id)) is None:
            if link.mailbox.answered(self._id):
                try:
                    self.result = self._read_result(link.mailbox.take(self._id))
                finally:
                    await self.close()
                return None
            await link.news(self._id)
        return body

    async def _open(self) -> Link:
        self._link = link = await self._connect()
        method, params = self._request
        self._id, data = link.mailbox.request(method, params, stream=True)
        await link.send(data)
        return link
