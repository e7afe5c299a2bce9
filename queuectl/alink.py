"""One asyncio connection: a transport, a mailbox, and who waits for what.

The counterpart of ``wire``. Neither connects nor knows what is said.
"""

import asyncio
import socket
from collections.abc import Mapping
from typing import Any, cast

from queuectl.mailbox import Mailbox
from queuectl.wire import CHUNK


class Link(asyncio.Protocol):
    """A connected socket and what came out of it.

    Args:
        connected: a socket that does not block.
        mailbox: where what it brings is filed.
        eager: take what comes as it comes. Otherwise bytes are only taken while
            somebody waits for news, so that a stream that is read slowly is held up
            in the daemon, and not in this process's memory.
    """

    def __init__(
        self, connected: socket.socket, mailbox: Mailbox, *, eager: bool = True
    ) -> None:
        self.mailbox = mailbox
        self._socket = connected
        self._eager = eager
        self._transport: asyncio.Transport | None = None
        self._waiters: dict[int | str | None, asyncio.Future[None]] = {}
        self._writable = asyncio.Event()
        self._gone = asyncio.Event()
