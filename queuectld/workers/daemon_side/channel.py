"""The daemon's end of the socket pair to a worker, on the event loop."""

import asyncio
import socket
from collections.abc import Callable

from queuectl_protocol.errors import ProtocolError
from queuectld.host import logs
from queuectld.workers.shared import messages

_events = logs.get("workers")


class Channel(asyncio.Protocol):
    """Sends messages to a worker and hands over those that come.

    What is sent is bounded by the conversation: a worker has at most one run, and
    each run causes a few messages.
    """

    def __init__(self, received: Callable[[messages.ToDaemon], None]) -> None:
        self._received = received
        self._decoder = messages.Decoder()
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def open(
        cls, sock: socket.socket, received: Callable[[messages.ToDaemon], None]
    ) -> "Channel":
        """Return the link over one end of a socket pair."""
        loop = asyncio.get_running_loop()
        _, link = await loop.create_connection(lambda: cls(received), sock=sock)
        return link

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The event loop drives the socket from here on."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Bytes came: hand over the messages they complete."""
        try:
            for message in self._decoder.receive_data(data):
                if not isinstance(message, messages.ToDaemon):
                    raise messages.WireError("a worker sent a daemon's message")
                self._received(message)
        except ProtocolError as error:
            # A worker that talks nonsense is cut off; it then ends by itself.
            _events.error("worker_link_broken", error=str(error))
            self.close()

    def send(self, message: messages.ToWorker) -> None:
        """Send a message; if the worker is gone, that shows elsewhere."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(messages.encode(message))

    def close(self) -> None:
        """Close this end: the worker finishes its job, spools the result and ends."""
        if self._transport is not None:
            self._transport.close()
