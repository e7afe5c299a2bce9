"""One blocking connection: a socket, a mailbox, and the bytes between them.

Neither connects nor knows what is said.
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


class Wire:
    """A connected socket and what came out of it.

    Args:
        connected: a socket that does not block.
        mailbox: where what it brings is filed.
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
        """Write as much of what is queued as goes without waiting."""
        try:
            while self._outgoing:
                del self._outgoing[: self._socket.send(self._outgoing)]
        except BlockingIOError:
            pass
        except OSError:
            # The daemon closed its end, and may have said why: reading will tell.
            self._outgoing.clear()
        except BaseException:
            # A signal handler raised, and how much of this was sent is not known: what
            # would follow on this connection could be read as anything.
            if self._outgoing:
                self.close()
            raise

    def flush(self, until: float | None) -> bool:
        """Write all that is queued.

        What a passed deadline leaves stays queued: no frame is ever cut short.

        Returns:
            Whether it was done before the deadline, or nobody is there to read it.
        """
        self.write()
        while self._outgoing and not self.mailbox.ended:
            if not self.pump(until):
                return False
        return True

    def pump(self, until: float | None) -> bool:
        """Wait until bytes can be moved, and move them.

        Both ways, lest each end wait for the other with its buffers full.

        Returns:
            Whether there were any before the deadline.
        """
        wanted = select.POLLIN | (select.POLLOUT if self._outgoing else 0)
        self._poll.modify(self._socket, wanted)
        if not (ready := self._poll.poll(_milliseconds(until))):
            return False
        ((_, happened),) = ready
        if happened & select.POLLOUT:
            self.write()
        if happened & ~select.POLLOUT:
            self.look()
        return True

    def look(self) -> None:
        """Take what has come. Does not wait."""
        try:
            data = self._socket.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""  # a reset is an end like another, once what came before is read
        if data:
            self.mailbox.receive_data(data)
        else:
            self.mailbox.receive_eof()


def _milliseconds(until: float | None) -> int | None:
    """Return what poll(2) takes: an int, which holds 24 days; None: for ever."""
    left = math.inf if until is None else (until - time.monotonic()) * 1000
    return None if left > _LONGEST else max(0, math.ceil(left))
