"""A blocking client of the socket, for tests that care about single messages."""

import socket
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from queuectl_protocol.connection import ClientConnection, FromServer
from queuectl_protocol.messages import Failure, Greeting, Reply, StreamEvent

PATIENCE = 20.0
"""Seconds until a test takes silence for a failure."""


class RawClient:
    """One connection. Messages that nobody asked for yet are kept in order.

    Attributes:
        socket: for tests that send or withhold single bytes.
        wire: makes and reads the bytes.
    """

    def __init__(self, path: Path) -> None:
        self.wire = ClientConnection()
        self._kept: deque[FromServer] = deque()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(PATIENCE)
        try:
            self.socket.connect(str(path))
        except OSError:
            self.socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Vanish."""
        self.socket.close()

    def send(self, method: str, **params: Any) -> int:
        """Send a request; return its id."""
        request_id = self.wire.send_request(method, params)
        self.socket.sendall(self.wire.data_to_send())
        return request_id

    def call(self, method: str, **params: Any) -> Any:
        """Send a request; return its result."""
        return self.result(self.send(method, **params))

    def refused(self, method: str, **params: Any) -> Failure:
        """Send a request; return the failure that it ends in."""
        end = self.end(self.send(method, **params))
        assert isinstance(end, Failure), end
        return end

    def result(self, request_id: int) -> Any:
        """Wait for the good end of a request."""
        end = self.end(request_id)
        assert isinstance(end, Reply), end
        return end.result

    def end(self, request_id: int | None) -> Reply | Failure:
        """Wait for the end of a request."""
        end: Reply | Failure = self._wait(
            lambda message: (
                isinstance(message, Reply | Failure) and message.id == request_id
            )
        )
        return end

    def event(self, sub: int) -> StreamEvent:
        """Wait for the next event of a stream."""
        event: StreamEvent = self._wait(
            lambda message: isinstance(message, StreamEvent) and message.sub == sub
        )
        return event

    def follow(self, sub: int) -> tuple[list[StreamEvent], Reply | Failure]:
        """Wait for the end of a stream; return its events and its request's end."""
        events: list[StreamEvent] = []
        while True:
            message = self._wait(
                lambda message: (
                    (isinstance(message, StreamEvent) and message.sub == sub)
                    or (isinstance(message, Reply | Failure) and message.id == sub)
                )
            )
            if not isinstance(message, StreamEvent):
                return events, message
            events.append(message)

    def next(self) -> FromServer:
        """Wait for the next message but the greeting."""
        message: FromServer = self._wait(lambda m: not isinstance(m, Greeting))
        return message

    def greeting(self) -> dict[str, Any]:
        """Wait for the greeting."""
        body: dict[str, Any] = self._wait(lambda m: isinstance(m, Greeting)).body
        return body

    def at_end(self) -> bool:
        """Wait until the server closes; return whether it sent nothing more."""
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            return True  # it closed with bytes of ours unread
        return not data and all(isinstance(kept, Greeting) for kept in self._kept)

    def _wait(self, wanted: Callable[[FromServer], bool]) -> Any:
        for message in self._kept:
            if wanted(message):
                self._kept.remove(message)
                return message
        while True:
            data = self.socket.recv(65536)
            if not data:
                raise EOFError(f"the server closed; unread: {list(self._kept)}")
            found = None
            for message in self.wire.receive_data(data):
                if found is None and wanted(message):
                    found = message
                else:
                    self._kept.append(message)
            if found is not None:
                return found
