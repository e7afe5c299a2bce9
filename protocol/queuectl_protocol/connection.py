"""The two ends of a connection, without any I/O.

Both have the same interface: ``receive_data`` takes bytes from the socket and returns
the messages in them, and ``data_to_send`` returns the bytes to write. Anything that can
move bytes can drive them: blocking sockets, asyncio, or a test.
"""

from itertools import count
from typing import Any

from queuectl_protocol import messages
from queuectl_protocol.errors import (
    BadMessageError,
    ErrorCode,
    FrameTooLargeError,
    ProtocolError,
)
from queuectl_protocol.frames import HEADER, FrameDecoder
from queuectl_protocol.limits import MAX_FRAME
from queuectl_protocol.messages import Failure, Greeting, Reply, Request, StreamEvent

FromServer = Greeting | Reply | Failure | StreamEvent
"""The messages that a client can receive."""


class _Connection:
    """The common part of both ends: a decoder for input, a buffer for output.

    Attributes:
        outgoing_size: the number of bytes that ``data_to_send`` would return.
        bin: write each string that is not UTF-8 as msgpack bin.
    """

    def __init__(self, max_frame: int = MAX_FRAME) -> None:
        self.bin = False
        self._max_frame = max_frame
        self._decoder = FrameDecoder(max_frame)
        self._outgoing: list[bytes] = []
        self.outgoing_size = 0

    def _send(self, message: messages.Message) -> None:
        self._queue(messages.encode(message, as_bin=self.bin))

    def _queue(self, frame: bytes) -> None:
        self._outgoing.append(frame)
        self.outgoing_size += len(frame)

    def data_to_send(self) -> bytes:
        """Return the bytes to write, and empty the buffer."""
        data = b"".join(self._outgoing)
        self._outgoing.clear()
        self.outgoing_size = 0
        return data


class ClientConnection(_Connection):
    """The client's end.

    Attributes:
        greeting: the server's greeting, after it has come.
    """

    def __init__(self, max_frame: int = MAX_FRAME) -> None:
        super().__init__(max_frame)
        self._ids = count(1)
        self.greeting: dict[str, Any] | None = None

    def send_request(self, method: str, params: dict[str, Any]) -> int:
        """Queue a request; return its id, which its reply has too."""
        request_id = next(self._ids)
        self._send(Request(request_id, method, params))
        return request_id

    def receive_data(self, data: bytes) -> list[FromServer]:
        """Take bytes from the server; return the messages that are complete with them.

        Raises:
            ProtocolError: the server broke the protocol.
        """
        received: list[FromServer] = []
        for payload in self._decoder.receive_data(data):
            message = messages.decode(payload)
            if isinstance(message, Request):
                raise ProtocolError("the server sent a request")
            if isinstance(message, Greeting):
                self.greeting = message.body
            received.append(message)
        return received


class ServerConnection(_Connection):
    """The server's end.

    Args:
        max_frame: bytes in one payload.
        max_containers: lists and maps in one large payload; None: any number.
    """

    def __init__(
        self, max_frame: int = MAX_FRAME, max_containers: int | None = None
    ) -> None:
        super().__init__(max_frame)
        self._max_containers = max_containers

    def send_greeting(self, body: dict[str, Any]) -> None:
        """Queue the greeting: ``body`` must have the key ``server``."""
        self._send(Greeting(body))

    def send_reply(self, request_id: int | str, result: Any) -> None:
        """Queue the result of a request.

        Raises:
            FrameTooLargeError: the client would refuse the reply; nothing was queued.
        """
        frame = messages.encode(Reply(request_id, result), as_bin=self.bin)
        length = len(frame) - HEADER.size
        if length > self._max_frame:
            raise FrameTooLargeError(length, self._max_frame)
        self._queue(frame)

    def send_failure(
        self,
        request_id: int | str | None,
        code: ErrorCode,
        message: str,
        data: dict[str, Any] | None = None,
    ) -> None:
        """Queue the error of a request."""
        self._send(messages.failure(request_id, code, message, data))

    def send_event(self, sub: int | str, seq: int, body: dict[str, Any]) -> None:
        """Queue an event of the stream that request ``sub`` opened."""
        self._send(StreamEvent(sub, seq, body))

    def receive_data(self, data: bytes) -> list[Request | BadMessageError]:
        """Take bytes from the client; return requests and unreadable messages.

        In place of a message that is no request stands the error that says so: the
        connection can go on after it.

        Raises:
            FrameTooLargeError: the connection must be closed.
        """
        return [self.read(payload) for payload in self.receive_frames(data)]

    def receive_frames(self, data: bytes) -> list[bytes]:
        """Take bytes from the client; return the payloads that are complete, unread.

        A caller can then ``read`` them one at a time, because a message can need many
        times the memory of its payload. Raises as ``receive_data``.
        """
        return self._decoder.receive_data(data)

    def read(self, payload: bytes) -> Request | BadMessageError:
        """Return the request in a payload, or the error that says why it is none."""
        try:
            message = messages.decode(payload, self._max_containers)
        except BadMessageError as error:
            return error
        if isinstance(message, Request):
            return message
        return BadMessageError("a client sends requests only")

    @property
    def pending(self) -> int:
        """The number of bytes held of a frame that is not complete yet."""
        return self._decoder.pending

    def forget(self) -> None:
        """Drop the bytes of a frame that is not complete: nothing more is received."""
        self._decoder = FrameDecoder(self._max_frame)
