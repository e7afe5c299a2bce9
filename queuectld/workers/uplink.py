"""The worker's end of the link: bytes in and out of one socket, blocking.

A daemon that is gone is no error here: ``open`` becomes False and sending does
nothing. A worker never connects again.
"""

import os

from queuectld.workers import wire

_CHUNK = 64 * 1024


class Uplink:
    """The socket that the worker was born with.

    Attributes:
        open: whether the daemon is there, as far as is known.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.open = True
        self._decoder = wire.Decoder()
        os.set_inheritable(fd, False)
        os.set_blocking(fd, True)

    def receive(self) -> list[wire.Message]:
        """Return the messages that one read completes, in order.

        Blocks when there is nothing to read: poll first.

        Raises:
            ProtocolError: the bytes are no messages of this link.
        """
        try:
            data = os.read(self.fd, _CHUNK)
        except ConnectionError:
            data = b""
        if not data:
            self.open = False
        return self._decoder.receive_data(data)

    def send(self, message: wire.ToDaemon) -> None:
        """Write a message whole, if the daemon is there."""
        data = wire.encode(message)
        try:
            while data and self.open:
                data = data[os.write(self.fd, data) :]
        except ConnectionError:
            self.open = False
