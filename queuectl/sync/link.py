"""One blocking connection: moves bytes between a socket and a mailbox.

It does not connect, and does not know what the bytes mean.
"""

import math
import select
import socket
import time

from queuectl.mailbox import CHUNK, Mailbox

_LONGEST = 2**31 - 1
"""Milliseconds that poll(2) can wait."""


def deadline(seconds: float | None) -> float | None:
    """Return the point of the monotonic clock that is so many seconds away."""
    return None if seconds is None else time.monotonic() + seconds


class Link:
    """A connected socket, and the mailbox that takes what it receives.

    Args:
        connected: a socket that does not block.
        mailbox: takes the bytes from the socket.
    """

    def __init__(self, connected: socket.socket, mailbox: Mailbox) -> None:
        self.mailbox = mailbox
        self._socket = connected
        self._outgoing = bytearray()
        self._poll = select.poll()
        self._poll.register(connected, select.POLLIN)

    def close(self) -> None:
        """Close the socket; requests still open learn that the connection ended."""
        self.mailbox.receive_eof()
        self._socket.close()

    def queue(self, data: bytes) -> None:
        """Keep bytes for the next ``write``, ``flush`` or ``pump``."""
        self._outgoing += data

    def write(self) -> None:
        """Write as many of the queued bytes as possible without waiting."""
        try:
            while self._outgoing:
                del self._outgoing[: self._socket.send(self._outgoing)]
        except BlockingIOError:
            pass
        except OSError:
            # The daemon closed its end. Reading finds the reason, if it sent one.
            self._outgoing.clear()
        except BaseException:
            # A signal handler raised. How much of this was sent is unknown, so the
            # daemon could misread what follows on this connection.
            if self._outgoing:
                self.close()
            raise

    def flush(self, until: float | None) -> bool:
        """Write all queued bytes.

        Bytes that are left at the deadline stay queued, so that no frame is cut short.

        Returns:
            Whether all were written before the deadline, or the daemon closed its end.
        """
        self.write()
        while self._outgoing and not self.mailbox.ended:
            if not self.pump(until):
                return False
        return True

    def pump(self, until: float | None) -> bool:
        """Wait until bytes can be moved in either direction, and move them.

        In both, because with full buffers each end would wait for the other.

        Returns:
            Whether any could be moved before the deadline.
        """
        wanted = select.POLLIN | (select.POLLOUT if self._outgoing else 0)
        self._poll.modify(self._socket, wanted)
        if not (ready := self._poll.poll(_milliseconds(until))):
            return False
        ((_, happened),) = ready
        if happened & select.POLLOUT:
            self.write()
        if happened & ~select.POLLOUT:
            self.read()
        return True

    def read(self) -> None:
        """Take the bytes that have come. Does not wait."""
        try:
            data = self._socket.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""  # a reset is an end too, after what came before it is read
        if data:
            self.mailbox.receive_data(data)
        else:
            self.mailbox.receive_eof()


def _milliseconds(until: float | None) -> int | None:
    """Return what poll(2) takes: a C int, at most 24 days; None: any time."""
    left = math.inf if until is None else (until - time.monotonic()) * 1000
    return None if left > _LONGEST else max(0, math.ceil(left))
