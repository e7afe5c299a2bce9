"""Answers clients of a daemon that cannot start, at a socket that systemd keeps open.

The socket outlives the daemon, and connections made meanwhile wait for the next one:
after a restart that is what is wanted, and for ever is not.
"""

import contextlib
import socket
from collections.abc import Iterable

from queuectl_protocol.connection import ServerConnection
from queuectl_protocol.errors import ErrorCode

MOST = 1024
"""Clients in one go: those that come meanwhile are for the next start."""

REASON = (
    "the daemon cannot start; its log says why (as a service: journalctl -u queuectld)"
)


def turn_away(listening: Iterable[socket.socket]) -> None:
    """Tell everybody who waits there that nobody will serve them, and hang up."""
    connection = ServerConnection()
    connection.send_failure(None, ErrorCode.SHUTTING_DOWN, REASON)
    answer = connection.data_to_send()
    for each in listening:
        each.setblocking(False)
        with contextlib.suppress(OSError):  # nobody waits, or no descriptor is left
            for _ in range(MOST):
                client, _ = each.accept()
                with client, contextlib.suppress(OSError):
                    client.setblocking(False)
                    client.sendall(answer)
