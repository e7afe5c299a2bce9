"""The worker's end of the channel to the daemon: one socket, blocking.

If the daemon is gone, that is no error: ``open`` becomes False and sending does
nothing. A worker never connects again.
"""

import contextlib
import os

from queuectld.workers.shared import messages

_CHUNK = 64 * 1024


def write_to_stderr(sentence: str) -> None:
    """Write a line to stderr, which is the daemon's; never fails.

    For a worker that has something to tell and no daemon to tell it to.
    """
    line = f"queuectld worker: {sentence}\n".encode(errors="backslashreplace")
    with contextlib.suppress(OSError):
        os.write(2, line)


class Channel:
    """The socket that the worker was started with.

    Attributes:
        open: whether the daemon is there, as far as this worker knows.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.open = True
        self._decoder = messages.Decoder()
        os.set_inheritable(fd, False)
        os.set_blocking(fd, True)

    def receive(self) -> list[messages.Message]:
        """Return the messages that one read completes, in order.

        Blocks if there is nothing to read: poll first.

        Raises:
            ProtocolError: the bytes are no messages of this channel.
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

    def tell_operator(self, lease: int | None, sentence: str) -> None:
        """Tell the operator a sentence: in the daemon's log, or else on stderr.

        Args:
            lease: of the attempt that it is about; None if it is about the worker.
            sentence: what to tell.
        """
        if self.open:
            self.send(messages.Trouble(lease, sentence))
        else:
            write_to_stderr(sentence)
