"""The sending half of a connection: replies and events, at the pace of the client."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from queuectl_protocol.connection import ServerConnection
from queuectl_protocol.errors import ErrorCode
from queuectld.server.errors import Refusal, refusal

HIGH_WATER = 64 * 1024
"""Bytes not yet taken by the kernel, over which nothing more is produced."""

LOW_WATER = 16 * 1024
"""Bytes under which production goes on."""


class Outbox:
    """Collects what one turn of the loop sends into one write.

    Attributes:
        paused: the client does not read, so nothing is to be produced for it.
    """

    def __init__(
        self, connection: ServerConnection, transport: asyncio.Transport
    ) -> None:
        self._connection = connection
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._flush_is_due = False
        self._drained = asyncio.Event()
        self._drained.set()
        self._room = asyncio.Lock()
        self.paused = False
        transport.set_write_buffer_limits(high=HIGH_WATER, low=LOW_WATER)

    def write_bin(self, *, wanted: bool) -> None:
        """From now on, write strings that are not UTF-8 as bin, or as str."""
        self._connection.bin = wanted

    def greet(self, body: dict[str, Any]) -> None:
        """Send the greeting."""
        self._connection.send_greeting(body)
        self._flush_soon()

    def reply(self, request_id: int | str, result: dict[str, Any]) -> None:
        """Send the result of a request.

        Raises:
            FrameTooLargeError: nothing was sent.
        """
        self._connection.send_reply(request_id, result)
        self._flush_soon()

    def refuse(self, request_id: int | str | None, error: BaseException) -> None:
        """Send the failure of a request, as the table of errors tells it."""
        self._fail(request_id, refusal(error))

    def fail(self, request_id: int | str | None, code: ErrorCode, message: str) -> None:
        """Send a failure without an exception."""
        self._fail(request_id, Refusal(code, message, None))

    def event(self, sub: int | str, seq: int, body: dict[str, Any]) -> None:
        """Send an event at once, so that ``paused`` is exact."""
        self._connection.send_event(sub, seq, body)
        self.flush()

    async def drained(self) -> None:
        """Wait until the client has read enough."""
        while self.paused:
            # Another waiting task may have filled the buffer again.
            await self._drained.wait()

    @property
    def gone(self) -> bool:
        """Whether the connection is closing: nobody reads what is sent now."""
        return self._transport.is_closing()

    @asynccontextmanager
    async def room(self) -> AsyncIterator[None]:
        """Wait for room for a large reply, which is then made inside.

        One task at a time has it, when the client has read enough of earlier replies.
        """
        async with self._room:
            await self.drained()
            yield

    def pause(self) -> None:
        """Hold back: the kernel takes no more."""
        self.paused = True
        self._drained.clear()

    def resume(self) -> None:
        """Go on: the kernel took most of it."""
        self.paused = False
        self._drained.set()

    def flush(self) -> None:
        """Give everything to the transport, or drop it if the connection is closing."""
        self._flush_is_due = False
        data = self._connection.data_to_send()
        if data and not self._transport.is_closing():
            self._transport.write(data)

    def _fail(self, request_id: int | str | None, failure: Refusal) -> None:
        self._connection.send_failure(request_id, *failure)
        self._flush_soon()

    def _flush_soon(self) -> None:
        if self._connection.outgoing_size >= HIGH_WATER:
            self.flush()
        elif not self._flush_is_due:
            self._flush_is_due = True
            self._loop.call_soon(self.flush)
