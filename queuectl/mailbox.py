"""The replies and events of one connection, sorted by request. No I/O.

Both clients move bytes and wait. This decides which reply belongs to which request, and
what the end of the connection means.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from queuectl import errors
from queuectl.errors import QueuectlError
from queuectl_protocol.connection import ClientConnection
from queuectl_protocol.errors import ErrorCode, ProtocolError
from queuectl_protocol.frames import HEADER
from queuectl_protocol.limits import MAX_FRAME
from queuectl_protocol.messages import Failure, Greeting, Reply, StreamEvent

CHUNK = 256 * 1024
"""Bytes asked of the socket at once: more than a Unix socket holds by default."""

API = 1
"""The version of the protocol that this client speaks."""

MAX_REPLY = 256 * 1024 * 1024
"""Bytes in one frame from the daemon: the most that its ``max_frame`` can be set to."""

_NONE: Mapping[str, str | None] = MappingProxyType({})

_Id = int | str
_End = Callable[[str], QueuectlError]
"""Makes the exception for the end of a connection. Its argument says what the end
interrupted."""


class _Open(NamedTuple):
    method: str
    limit: float | None


class Mailbox:
    """One connection, from its greeting to its end.

    Args:
        timeout: seconds that the daemon may take for one reply; None: any time.
        waits: methods that it does not apply to, because they wait for jobs or workers.
            The value names the parameter that limits the wait, if there is one: then
            the daemon may take ``timeout`` longer than that.

    Attributes:
        greeting: the daemon's greeting, after a compatible one has come.
    """

    def __init__(
        self, timeout: float | None = None, waits: Mapping[str, str | None] = _NONE
    ) -> None:
        self.greeting: dict[str, Any] | None = None
        self._connection = ClientConnection(MAX_REPLY)
        self._timeout = timeout
        self._waits = waits
        self._open: dict[_Id, _Open] = {}
        self._replies: dict[_Id, Reply | Failure] = {}
        self._events: dict[_Id, deque[dict[str, Any]]] = {}
        self._end: _End | None = None

    @property
    def idle(self) -> bool:
        """Whether no request is open, other than those of streams."""
        return self._open.keys() <= self._events.keys()

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self._end is not None

    def request(
        self, method: str, params: Mapping[str, Any], *, stream: bool = False
    ) -> tuple[int, bytes]:
        """Open a request; return its id and the bytes to write.

        Raises:
            InvalidParamsError: it holds a value that msgpack cannot hold.
            FrameTooLargeError: the daemon would refuse it; nothing is to be written.
            QueuectlError: the connection has ended.
        """
        if self._end:
            raise self._end(f"the connection has ended; {method} was not sent")
        try:
            request_id = self._connection.send_request(method, dict(params))
        except (OverflowError, ValueError) as error:
            raise errors.InvalidParamsError(
                f"{method} cannot be sent: {_unsendable(error)}"
            ) from None
        data = self._connection.data_to_send()
        limit = (self.greeting or {}).get("max_frame", MAX_FRAME)
        if len(data) - HEADER.size > limit:
            raise errors.FrameTooLargeError(
                f"{method} takes {len(data)} bytes and the daemon accepts {limit}; "
                "split it, or raise max_frame in queuectld.toml"
            )
        self._open[request_id] = _Open(method, self._time_limit(method, params))
        if stream:
            self._events[request_id] = deque()
        return request_id, data

    def receive_data(self, data: bytes) -> list[_Id]:
        """Take bytes from the daemon; return the ids of the requests they concern."""
        try:
            messages = self._connection.receive_data(data)
        except ProtocolError as error:
            self._end = _violation(error)
            return []
        return [found for message in messages if (found := self._sort(message))]

    def receive_eof(self) -> None:
        """Record that the daemon closed the connection."""
        # A reason that came before the end says more than the end.
        self._end = self._end or errors.ConnectionLostError

    def limit(self, request_id: int) -> float | None:
        """Return the seconds that the reply of a request may take; None: any time."""
        return self._find(request_id).limit

    def answered(self, request_id: int) -> bool:
        """Whether ``take`` has something to return or to raise."""
        return request_id in self._replies or self.ended

    def take(self, request_id: int) -> Any:
        """Close a request and return its result.

        Raises:
            RequestError: the daemon refused.
            QueuectlError: the connection ended before it answered.
        """
        method, _ = self._find(request_id)
        reply = self._replies.get(request_id)
        self.forget(request_id)
        if isinstance(reply, Reply):
            return reply.result
        if isinstance(reply, Failure):
            raise errors.from_failure(reply)
        raise self.end_error(method)

    def event(self, request_id: int) -> dict[str, Any] | None:
        """Return the next event of a stream that has come, or None."""
        events = self._events.get(request_id)
        return events.popleft() if events else None

    def forget(self, request_id: int) -> None:
        """Close a request, and drop what came or will come for it."""
        self._open.pop(request_id, None)
        self._replies.pop(request_id, None)
        self._events.pop(request_id, None)

    def expire(self, request_id: int) -> errors.RequestTimeoutError:
        """Close a request whose time is up; return the exception to raise."""
        method, _ = self._find(request_id)
        self.forget(request_id)
        return errors.RequestTimeoutError(
            f"the daemon did not answer {method} in time; it may still carry it out"
        )

    def end_error(self, method: str | None = None) -> QueuectlError:
        """Return the exception to raise for the end of the connection.

        Args:
            method: the method that was not answered; None: no request was open.
        """
        end = self._end or errors.ConnectionLostError
        if method is None:
            return end("the daemon closed the connection without a greeting")
        return end(
            f"the daemon closed the connection before it answered {method}: "
            "whether it was carried out is unknown"
        )

    def _find(self, request_id: int) -> _Open:
        try:
            return self._open[request_id]
        except KeyError:
            raise LookupError(f"no request {request_id} waits for a reply") from None

    def _time_limit(self, method: str, params: Mapping[str, Any]) -> float | None:
        if self._timeout is None or method not in self._waits:
            return self._timeout
        limited_by = self._waits[method]
        wanted = params.get(limited_by) if limited_by else None
        return None if wanted is None else self._timeout + wanted

    def _sort(self, message: Greeting | Reply | Failure | StreamEvent) -> _Id | None:
        match message:
            case Greeting():
                self._take_greeting(message.body)
            case Failure(id=None):
                # It is about the connection, and the daemon closes it next.
                self._end = _farewell(message, greeted=self.greeting is not None)
            case StreamEvent() if message.sub in self._events:
                self._events[message.sub].append(message.body)
                return message.sub
            case Reply(id=key) | Failure(id=key) if key in self._open:
                self._replies[key] = message
                return key
        return None

    def _take_greeting(self, body: dict[str, Any]) -> None:
        newest, oldest = body.get("api", API), body.get("min_api", API)
        if oldest <= API <= newest:
            self.greeting = body
        else:
            self._end = _incompatible(
                f"the daemon (version {body.get('version')}) speaks versions {oldest} "
                f"to {newest} of the protocol, and this client {API}: "
                "install the same queuectl for both"
            )


def _farewell(failure: Failure, *, greeted: bool) -> _End:
    if not greeted and failure.code == ErrorCode.SHUTTING_DOWN:
        # A daemon that cannot start sends it, in place of a greeting, at the socket
        # that systemd has opened.
        return lambda _context: errors.DaemonNotRunningError(failure.message)
    return lambda _context: errors.from_failure(failure)


def _violation(error: ProtocolError) -> _End:
    message = f"what answers on the socket does not speak queuectl's protocol: {error}"
    return lambda _context: errors.ProtocolViolationError(message)


def _incompatible(message: str) -> _End:
    return lambda _context: errors.IncompatibleDaemonError(message)


def _unsendable(error: OverflowError | ValueError) -> str:
    """Return why msgpack cannot hold something, in words for people."""
    if isinstance(error, UnicodeEncodeError):
        return f"{error.object[error.start]!a} is half a character, and no text"
    if isinstance(error, OverflowError):
        return "a whole number in it takes more than 64 bits"
    return str(error)


def as_it_is(value: Any) -> Any:
    """Return a value of the wire unchanged: what untyped streams read it with."""
    return value
