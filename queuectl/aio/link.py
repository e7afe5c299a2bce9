"""One asyncio connection: moves bytes between a transport and a mailbox.

It does not connect, and does not know what the bytes mean.
"""

import asyncio
import socket
from collections.abc import Iterable
from contextlib import suppress
from typing import cast

from queuectl.mailbox import CHUNK, Mailbox

_Key = int | str | None
"""What a task waits for: the id of a request, or None for the greeting."""


class AsyncLink(asyncio.Protocol):
    """A connected socket, and the mailbox that takes what it receives.

    Args:
        connected: the socket of the transport that this is the protocol of.
        mailbox: takes the bytes from the socket.
        eager: take bytes when they come. Otherwise they are taken only while a task
            waits for them, so that a stream that is read slowly waits in the daemon and
            does not fill this process.
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

    async def send(self, data: bytes) -> None:
        """Write bytes; wait while too many are queued."""
        self._transport.write(data)
        await self._writable.wait()

    async def wait_for(self, key: _Key) -> None:
        """Wait until something comes for a request, or the connection ends."""
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

    def close(self) -> None:
        """Close the connection at once; requests still open learn that it ended."""
        self._end()
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport. asyncio calls this and the methods below."""
        self._transport = cast(asyncio.Transport, transport)
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        """Give what came to the mailbox, and wake the tasks that wait for it."""
        if not self._eager:
            self._transport.pause_reading()
        self._wake([None, *self.mailbox.receive_data(data)])
        if self.mailbox.ended:
            self.close()

    def pause_writing(self) -> None:
        """Make ``send`` wait."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Let ``send`` continue."""
        self._writable.set()

    def connection_lost(self, error: Exception | None) -> None:
        """Record the end, and what the daemon sent before it."""
        if error:
            # Writing failed before everything was read: the socket may hold the reason.
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
