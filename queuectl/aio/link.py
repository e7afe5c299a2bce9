"""One asyncio connection: a transport, a mailbox, and who waits for what.

The counterpart of ``wire``. Neither connects nor knows what is said.
"""

import asyncio
import socket
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, cast

from queuectl.mailbox import CHUNK, Mailbox

_Key = int | str | None
"""Whose news: the id of a request, or None for the connection's own."""


class Link(asyncio.Protocol):
    """A connected socket and what came out of it.

    Args:
        connected: the socket of the transport that this is the protocol of.
        mailbox: where what it brings is filed.
        eager: take what comes when it comes. Otherwise bytes are taken only while
            somebody waits for news, so that a stream that is read slowly is held up
            in the daemon and does not fill this process.
    """

    def __init__(
        self, connected: socket.socket, mailbox: Mailbox, *, eager: bool
    ) -> None:
        self.mailbox = mailbox
        self._socket = connected
        self._eager = eager
        self._waiters: dict[_Key, asyncio.Future[None]] = {}
        self._writable = asyncio.Event()
        self._gone = asyncio.Event()

    async def greet(self) -> None:
        """Wait for the daemon's greeting.

        Raises:
            QueuectlError: something else came, or the end.
        """
        while self.mailbox.greeting is None:
            if self.mailbox.ended:
                raise self.mailbox.why()
            await self.news(None)

    async def call(self, method: str, params: Mapping[str, Any]) -> Any:
        """Send a request and wait for its reply; return its result.

        Raises:
            QueuectlError: see ``Session.call``.
        """
        mailbox = self.mailbox
        request_id, data = mailbox.request(method, params)
        try:
            async with asyncio.timeout(mailbox.limit(request_id)) as limit:
                await self.send(data)
                while not mailbox.answered(request_id):
                    await self.news(request_id)
            return mailbox.take(request_id)
        except TimeoutError:
            if not limit.expired():
                raise
            raise mailbox.expire(request_id) from None
        finally:
            mailbox.forget(request_id)

    async def send(self, data: bytes) -> None:
        """Write bytes; wait while too many are queued."""
        self._transport.write(data)
        await self._writable.wait()

    async def news(self, key: _Key) -> None:
        """Wait until something came for a request, or the connection ended."""
        if not self._eager:
            self._transport.resume_reading()
        waiter = asyncio.get_running_loop().create_future()
        self._waiters[key] = waiter
        try:
            await waiter
        finally:
            self._waiters.pop(key, None)

    async def wait_closed(self) -> None:
        """Wait until the connection has ended and its socket is closed."""
        await self._gone.wait()

    def abort(self) -> None:
        """Close the connection at once; requests still open learn that it ended."""
        self._end()
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport. This and what follows is called by asyncio."""
        self._transport = cast(asyncio.Transport, transport)
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        """File what came, and wake those it came for."""
        if not self._eager:
            self._transport.pause_reading()
        self._wake([None, *self.mailbox.receive_data(data)])
        if self.mailbox.ended:
            self.abort()

    def pause_writing(self) -> None:
        """Hold up ``send``."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Let ``send`` go on."""
        self._writable.set()

    def connection_lost(self, error: Exception | None) -> None:
        """Take note of the end, and of what was said before it."""
        if error:
            # Writing failed before everything was read: the reason may be there still.
            with suppress(OSError):
                while data := self._socket.recv(CHUNK):
                    self.mailbox.receive_data(data)
        self._end()
        self._gone.set()

    def _end(self) -> None:
        self.mailbox.receive_eof()
        self._writable.set()
        self._wake(self._waiters)

    def _wake(self, keys: Iterable[_Key]) -> None:
        for key in keys:
            waiter = self._waiters.get(key)
            if waiter and not waiter.done():
                waiter.set_result(None)
