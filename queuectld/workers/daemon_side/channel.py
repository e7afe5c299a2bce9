"""The daemon's end of the channel to a worker: one end of a socket pair, in asyncio."""

import asyncio
import socket
from collections.abc import Callable

from queuectl_protocol.errors import ProtocolError
from queuectld.host import logs
from queuectld.workers.shared import messages

_events = logs.get("workers")


class Channel(asyncio.Protocol):
    """Sends messages to one worker and passes on those that the worker sends.

    What waits to be sent is bounded: a worker has at most one job, and each job causes
    a few messages.
    """

    def __init__(self, received: Callable[[messages.ToDaemon], None]) -> None:
        self._received = received
        self._decoder = messages.Decoder()
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def open(
        cls, sock: socket.socket, received: Callable[[messages.ToDaemon], None]
    ) -> "Channel":
        """Return the channel over the daemon's end of a socket pair.

        Args:
            sock: that end.
            received: called with each message from the worker.
        """
        loop = asyncio.get_running_loop()
        _, channel = await loop.create_connection(lambda: cls(received), sock=sock)
        return channel

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport: the event loop reads the socket from here on."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Decode bytes from the worker and pass on the messages they complete."""
        try:
            for message in self._decoder.receive_data(data):
                if not isinstance(message, messages.ToDaemon):
                    raise messages.ChannelError("a worker sent a daemon's message")
                self._received(message)
        except ProtocolError as error:
            # A worker without a daemon finishes its job and exits.
            _events.error("worker_channel_broken", error=str(error))
            self.close()

    def send(self, message: messages.ToWorker) -> None:
        """Send a message; do nothing if the worker is gone, which its pidfd tells."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(messages.encode(message))

    def close(self) -> None:
        """Close this end: the worker finishes its job, spools the result and exits."""
        if self._transport is not None:
            self._transport.close()
