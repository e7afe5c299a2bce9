"""The worker's end of the link: bytes in and out of one socket, blocking.

A daemon that is gone is no error here: ``open`` becomes False and sending does
nothing. A worker never connects again.
"""

import contextlib
import os

from queuectld.workers.shared import messages

_CHUNK = 64 * 1024


def write_to_stderr(message: str) -> None:
    """Write a line to stderr, which is the daemon's; never fails.

    For a worker that has something to say and no daemon to hear it.
    """
    line = f"queuectld worker: {message}\n".encode(errors="backslashreplace")
    with contextlib.suppress(OSError):
        os.write(2, line)


class Channel:
    """The socket that the worker was born with.

    Attributes:
        open: whether the daemon is there, as far as is known.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.open = True
        self._decoder = messages.Decoder()
        os.set_inheritable(fd, False)
        os.set_blocking(fd, True)

    def receive(self) -> list[messages.Message]:
        """Return the messages that one read completes, order.

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

    def send(self, message: messages.ToDaemon) -> None:
        """Write a message whole, if the daemon is there."""
        data = messages.encode(message)
        try:
            while data and self.open:
                data = data[os.write(self.fd, data) :]
        except ConnectionError:
            self.open = False
