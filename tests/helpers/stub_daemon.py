"""A daemon that says what a test tells it to, for tests of the clients alone.

Real sockets and a thread for each connection; no queue behind it.
"""

import os
import select
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from queuectl_protocol.connection import ServerConnection
from queuectl_protocol.errors import ErrorCode
from queuectl_protocol.messages import Request

GREETING: Mapping[str, Any] = {
    "server": "queuectld",
    "version": "0.1.0",
    "api": 1,
    "min_api": 1,
    "instance": "a",
    "max_frame": 8 * 1024 * 1024,
    "features": [],
    "uid": os.geteuid(),
    "you": {"uid": os.geteuid(), "role": "admin"},
}


class Peer:
    """The daemon's end of one connection."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._connection = ServerConnection()

    def greet(self, **changed: Any) -> None:
        """Send the greeting, with some of its keys changed."""
        self._connection.send_greeting({**GREETING, **changed})
        self._flush()

    def reply(self, request: Request, result: Any) -> None:
        """Answer a request."""
        self._connection.send_reply(request.id, result)
        self._flush()

    def fail(
        self,
        request: Request | None,
        code: ErrorCode,
        message: str = "no",
        data: dict[str, Any] | None = None,
    ) -> None:
        """Refuse a request, or, with None, the connection."""
        request_id = None if request is None else request.id
        self._connection.send_failure(request_id, code, message, data)
        self._flush()

    def event(self, request: Request, seq: int, **body: Any) -> None:
        """Send an event of the stream that a request opened."""
        self._connection.send_event(request.id, seq, body)
        self._flush()

    def send_raw(self, data: bytes) -> None:
        """Send any bytes."""
        self._socket.sendall(data)

    def receive(self) -> list[Request]:
        """Wait for requests; an empty list is the end of the connection."""
        while data := self._socket.recv(65536):
            if requests := self._connection.receive_data(data):
                return [r for r in requests if isinstance(r, Request)]
        return []

    def is_held_up(self) -> bool:
        """Whether the client has left so much unread that nothing can be sent."""
        return not select.select([], [self._socket], [], 0)[1]

    def close(self) -> None:
        """End the connection."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _flush(self) -> None:
        self._socket.sendall(self._connection.data_to_send())


Script = Callable[[Peer], None]
Answer = Callable[[Peer, Request], None]


def answering(answers: Mapping[str, Answer], **greeting: Any) -> Script:
    """Return a script that greets, then calls the answer to each request's method."""

    def script(peer: Peer) -> None:
        peer.greet(**greeting)
        while requests := peer.receive():
            for request in requests:
                answers.get(request.method, _unknown)(peer, request)

    return script


def returning(result: Any) -> Answer:
    """Return an answer that is always this result."""
    return lambda peer, request: peer.reply(request, result)


def _unknown(peer: Peer, request: Request) -> None:
    peer.fail(request, ErrorCode.UNKNOWN_METHOD, f"no method {request.method}")


class StubDaemon:
    """Listens, and runs the next script for each connection; the last one for good.

    Attributes:
        path: of its socket.
        accepted: connections so far.
    """

    def __init__(self, path: Path | str, *scripts: Script) -> None:
        self.path = str(path)
        self.accepted = 0
        self._scripts = list(scripts)
        self._peers: list[Peer] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.socket(socket.AF_UNIX)

    def __enter__(self) -> Self:
        self._listener.bind(self.path)
        self._listener.listen()
        self._run(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for peer in self._peers:
            peer.close()
        for thread in self._threads:
            thread.join()
        self._listener.close()
        Path(self.path).unlink()

    def _run(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):  # the listener is shut down
            while True:
                connected, _ = self._listener.accept()
                script = self._scripts[min(self.accepted, len(self._scripts) - 1)]
                self.accepted += 1
                peer = Peer(connected)
                self._peers.append(peer)
                self._run(partial(_serve, peer, script))


def _serve(peer: Peer, script: Script) -> None:
    with suppress(OSError):  # the client went away, or the test is over
        script(peer)
    peer.close()


Serve = Callable[..., StubDaemon]
"""Starts a stub daemon that follows the scripts given, one for each connection."""
