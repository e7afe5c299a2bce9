"""The blocking client below its typed methods: sends any request, waits for any reply.

It knows no method of the protocol by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from queuectl import dial, paths
from queuectl.errors import RequestTimeoutError
from queuectl.mailbox import Mailbox, as_it_is
from queuectl.sync.link import Link, deadline

if TYPE_CHECKING:
    from queuectl.calls.call import StreamCall
    from queuectl.sync.stream import EventStream

E = TypeVar("E")
T = TypeVar("T")


class Session:
    """A connection to the daemon.

    Threads must not share one: each may have its own. A connection that was lost, for
    example in a restart of the daemon, is opened again by the next request; the request
    that was under way is never sent twice.

    Args:
        socket: path of the daemon's socket; None for the usual queue: the one that
            the environment names, else one's own if there is one, else the system's
            if this user may use it, else one's own (see ``queuectl.paths``).
        queue: instead of a socket, ``user`` or ``system``.
        autostart: start a daemon when none answers, if the queue is one's own.
        timeout: seconds that the daemon may take to accept and to answer; None: any
            time. A method of ``Client`` that waits for jobs or workers has no limit.

    Raises:
        DaemonNotRunningError: nobody answers.
        ForbiddenError: this user may not use the socket.
        SocketPathError: its path is too long for the kernel.
    """

    _waits: ClassVar[Mapping[str, str | None]] = MappingProxyType({})
    """Methods that ``timeout`` does not apply to: see ``Mailbox``."""

    def __init__(
        self,
        socket: str | None = None,
        *,
        autostart: bool = False,
        timeout: float | None = None,
        queue: str | None = None,
    ) -> None:
        self.place = paths.find(socket, queue=queue)
        self._autostart = autostart
        self._timeout = timeout
        self._closed = False
        self._link = self._connect()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection. What is under way in the daemon goes on there."""
        self._closed = True
        self._link.close()

    @property
    def greeting(self) -> dict[str, Any]:
        """What the daemon says of itself: ``version``, ``uid``, ``instance`` ...

        Raises:
            RequestTimeoutError: the daemon did not greet in time.
            QueuectlError: it sent something else, or closed the connection.
        """
        self._ensure_connected()
        mailbox = self._link.mailbox
        until = deadline(self._timeout)
        while mailbox.greeting is None:
            if mailbox.ended:
                raise mailbox.end_error()
            if not self._link.pump(until):
                raise RequestTimeoutError("the daemon did not greet in time")
        return mailbox.greeting

    def call(self, method: str, params: Mapping[str, Any] | None = None) -> Any:
        """Send a request and return its result, as it is on the wire.

        Raises:
            RequestError: the daemon refused.
            RequestTimeoutError: it did not answer in time.
            ConnectionLostError: it went away; the outcome is unknown.
        """
        return self.receive(self.send(method, params))

    def send(self, method: str, params: Mapping[str, Any] | None = None) -> int:
        """Send a request; return its id, by which ``receive`` finds the reply.

        Raises:
            FrameTooLargeError: the daemon would refuse a request of this size.
            QueuectlError: there is no connection to send it over.
        """
        return self._send(method, params or {})

    def receive(self, request_id: int) -> Any:
        """Wait for the reply to a request; return its result.

        Raises as ``call``. An exception that ends the waiting, such as that of Ctrl-C,
        gives the reply up.
        """
        mailbox = self._link.mailbox
        until = deadline(mailbox.limit(request_id))
        try:
            while not mailbox.answered(request_id):
                if not self._link.pump(until):
                    raise mailbox.expire(request_id)
            return mailbox.take(request_id)
        finally:
            mailbox.forget(request_id)

    def forget(self, request_id: int) -> None:
        """Drop the reply to a request that nobody will ``receive``."""
        self._link.mailbox.forget(request_id)

    def stream(
        self, method: str, params: Mapping[str, Any] | None = None
    ) -> EventStream[dict[str, Any], Any]:
        """Send a request that events answer, and its result at their end.

        Both are as they are on the wire. Other requests can be made meanwhile; events
        that come in between are kept. Raises as ``send``; its iteration as ``receive``.
        """
        return self._open(method, params or {}, as_it_is, as_it_is)

    def open_stream(self, call: StreamCall[E, T]) -> EventStream[E, T]:
        """Send a request that typed events answer, and a typed result at their end."""
        return self._open(call.method, call.params, call.event, call.read)

    def wait_closed(self, timeout: float | None = None) -> bool:
        """Wait until the daemon closes the connection.

        Args:
            timeout: seconds; None: as long as it takes.

        Returns:
            Whether it did.
        """
        until = deadline(timeout)
        while not self._link.mailbox.ended:
            if not self._link.pump(until):
                return False
        return True

    def _connect(self) -> Link:
        connected = dial.connect(
            self.place, autostart=self._autostart, timeout=self._timeout
        )
        return Link(connected, Mailbox(self._timeout, self._waits))

    def _ensure_connected(self) -> None:
        """Open a new connection if the last one is known to have ended."""
        if self._closed:
            raise RuntimeError("this client is closed")
        self._link.read()  # finds the end of a daemon that ended since the last request
        mailbox = self._link.mailbox
        # Requests still open belong to the old connection and learn of its end first.
        if mailbox.ended and mailbox.idle:
            self._link.close()
            self._link = self._connect()

    def _send(
        self, method: str, params: Mapping[str, Any], *, stream: bool = False
    ) -> int:
        self._ensure_connected()
        mailbox = self._link.mailbox
        request_id, data = mailbox.request(method, params, stream=stream)
        self._link.queue(data)
        try:
            sent = self._link.flush(deadline(self._timeout))
        except BaseException:
            # Nobody takes its reply, and no new connection is made while it is open.
            mailbox.forget(request_id)
            raise
        if not sent:
            raise mailbox.expire(request_id)
        return request_id

    def _open(
        self,
        method: str,
        params: Mapping[str, Any],
        event: Callable[[dict[str, Any]], E | None],
        result: Callable[[Any], T],
    ) -> EventStream[E, T]:
        from queuectl.sync.stream import EventStream  # noqa: PLC0415 - few commands use one

        request_id = self._send(method, params, stream=True)
        return EventStream(self._link, request_id, event, result)
