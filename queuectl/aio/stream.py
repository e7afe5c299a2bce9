"""The events of one request as an asynchronous iterator, then its result.

Unlike in ``sync``, each stream has its own connection: a stream that is read slowly
then waits in the daemon, and delays nothing else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Generic, Self, TypeVar

from queuectl.aio.link import AsyncLink

E = TypeVar("E")
R = TypeVar("R")


class AsyncEventStream(Generic[E, R]):
    """The events of a request, as an asynchronous iterator.

    A caller may leave it early: ``close`` it, use it as a context manager, or just drop
    it. Its connection is then closed.

    Args:
        connect: opens the connection.
        method: the request's method; it is sent when the first event is requested.
        params: the request's parameters.
        event: makes an event from its map; returns None for one to skip.
        result: makes the result from that of the final reply.

    Attributes:
        result: the result, after the last event.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[AsyncLink]],
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
        self._link: AsyncLink | None = None
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

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    def __del__(self) -> None:
        if self._link and not self._ended:
            with suppress(RuntimeError):  # the event loop is closed already
                self._link.close()

    async def close(self) -> None:
        """End the stream, if it has not ended."""
        self._ended = True
        if self._link:
            self._link.close()
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
            await link.wait_for(self._id)
        return body

    async def _open(self) -> AsyncLink:
        self._link = link = await self._connect()
        method, params = self._request
        self._id, data = link.mailbox.request(method, params, stream=True)
        await link.send(data)
        return link
