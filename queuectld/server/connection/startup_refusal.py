"""Answers the clients of a daemon that cannot start, at a socket of systemd's.

That socket outlives the daemon, and connections made meanwhile wait for the next one.
After a restart they shall; if no daemon can start, they must not wait for ever.
"""

import contextlib
import socket
from collections.abc import Iterable

from queuectl_protocol.connection import ServerConnection
from queuectl_protocol.errors import ErrorCode

MOST = 1024
"""Clients that are answered at a time; the next start answers later ones."""

REASON = (
    "the daemon cannot start; its log says why (as a service: journalctl -u queuectld)"
)


def refuse_waiting(listening: Iterable[socket.socket]) -> None:
    """Tell all clients that wait there that the daemon cannot start; close."""
    connection = ServerConnection()
    connection.send_failure(None, ErrorCode.SHUTTING_DOWN, REASON)
    answer = connection.data_to_send()
    for each in listening:
        each.setblocking(False)
        with contextlib.suppress(OSError):  # none waits, or no descriptor is left
            for _ in range(MOST):
                client, _ = each.accept()
                with client, contextlib.suppress(OSError):
                    client.setblocking(False)
                    client.sendall(answer)
