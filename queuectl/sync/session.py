"""The blocking client below its typed methods: sends any request, waits for any reply.

Knows no method of the protocol by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from queuectl import dial, paths
from queuectl.errors import RequestTimeoutError
from queuectl.mailbox import Mailbox
from queuectl.sync.link import Wire, deadline

if TYPE_CHECKING:
    from queuectl.calls import Call, Part, StreamCall
    from queuectl.sync.stream import Stream

E = TypeVar("E")
T = TypeVar("T")


class Session:
    """A connection to the daemon.

    Not for several threads at once: each may have its own. A connection that was
    lost, say in a restart of the daemon, is opened anew by the next request; the
    request that was under way is never sent twice.

    Args:
        socket: path of the daemon's socket; None for the usual queue: the one that
            the environment names, else one's own if there is one, else the system's
            if this user may use it, else one's own (see ``queuectl.paths``).
        queue: instead of a socket, ``user`` or ``system``.
        autostart: start a daemon when none answers, if the queue is one's own.
        timeout: seconds that the daemon may take to accept and to answer; None: any
            time. What waits for jobs or workers by its nature is not limited.

    Raises:
        DaemonNotRunningError: nobody answers.
        ForbiddenError: the socket is not this user's to use.
        SocketPathError: its path is too long for the kernel.
    """

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
        self._wire = self._connect()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection. What is under way in the daemon goes on there."""
        self._closed = True
        self._wire.close()

    @property
    def greeting(self) -> dict[str, Any]:
        """What the daemon says of itself: ``version``, ``uid``, ``instance`` ...

        Raises:
            RequestTimeoutError: it said nothing in time.
            QueuectlError: it said something else, or closed the connection.
        """
        self._refresh()
        mailbox = self._wire.mailbox
        until = deadline(self._timeout)
        while mailbox.greeting is None:
            if mailbox.ended:
                raise mailbox.why()
            if not self._wire.pump(until):
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
        """Send a request; return the id to ``receive`` its reply by.

        Raises:
            FrameTooLargeError: the daemon would not take it.
            QueuectlError: there is no connection to send it over.
        """
        return self._send(method, params or {})

    def receive(self, request_id: int) -> Any:
        """Wait for the reply to a request; return its result.

        Raises as ``call``. An exception out of the waiting, as after Ctrl-C, gives
        the reply up.
        """
        mailbox = self._wire.mailbox
        until = deadline(mailbox.limit(request_id))
        try:
            while not mailbox.answered(request_id):
                if not self._wire.pump(until):
                    raise mailbox.expire(request_id)
            return mailbox.take(request_id)
        finally:
            mailbox.forget(request_id)

    def forget(self, request_id: int) -> None:
        """Drop the reply to a request that nobody will ``receive``."""
        self._wire.mailbox.forget(request_id)

    def stream(
        self, method: str, params: Mapping[str, Any] | None = None
    ) -> Stream[dict[str, Any], Any]:
        """Send a request that events answer, and its result at their end.

        Both are as they are on the wire. Other requests can be made meanwhile; the
        events that come in between are kept. Raises as ``send``; its iteration as
        ``receive``.
        """
        request_id = self._send(method, params or {}, stream=True)
        return self._stream(request_id, _as_it_is, _as_it_is)

    def perform(self, call: Call[T]) -> T:
        """Carry out a call; return its typed result. Raises as ``call``."""
        return call.read(self.call(call.method, call.params))

    def perform_parts(self, call: Call[Part[T]]) -> Iterator[T]:
        """Yield the items of a call's parts, asking for each part when it is due."""
        following: Call[Part[T]] | None = call
        while following is not None:
            part = self.perform(following)
            yield from part.items
            following = part.following

    def perform_each(self, asked: Iterable[Call[tuple[T, ...]]]) -> tuple[T, ...]:
        """Carry out calls side by side; return the items of all, in order.

        All are sent before the first is waited for. Raises as ``call``; the others are
        carried out all the same.
        """
        under_way = [(call, self.send(call.method, call.params)) for call in asked]
        try:
            results = [call.read(self.receive(request)) for call, request in under_way]
        finally:
            for _, request in under_way:
                self.forget(request)
        return tuple(item for result in results for item in result)

    def perform_stream(self, call: StreamCall[E, T]) -> Stream[E, T]:
        """Carry out a call that events answer."""
        request_id = self._send(call.method, call.params, stream=True)
        return self._stream(request_id, call.event, call.read)

    def wait_closed(self, timeout: float | None = None) -> bool:
        """Wait until the daemon closes the connection.

        Args:
            timeout: seconds; None: as long as it takes.

        Returns:
            Whether it did.
        """
        until = deadline(timeout)
        while not self._wire.mailbox.ended:
            if not self._wire.pump(until):
                return False
        return True

    def _connect(self) -> Wire:
        connected = dial.connect(
            self.place, autostart=self._autostart, timeout=self._timeout
        )
        return Wire(connected, Mailbox(self._timeout))

    def _refresh(self) -> None:
        """Make sure of an open connection, as far as one can know without asking."""
        if self._closed:
            raise RuntimeError("this client is closed")
        self._wire.look()  # a daemon that has ended since the last request shows here
        mailbox = self._wire.mailbox
        # Requests still open belong to the old connection and learn of its end first.
        if mailbox.ended and mailbox.idle:
            self._wire.close()
            self._wire = self._connect()

    def _send(
        self, method: str, params: Mapping[str, Any], *, stream: bool = False
    ) -> int:
        self._refresh()
        mailbox = self._wire.mailbox
        request_id, data = mailbox.request(method, params, stream=stream)
        self._wire.queue(data)
        try:
            sent = self._wire.flush(deadline(self._timeout))
        except BaseException:
            # Nobody takes its reply, and no new connection is made while it is open.
            mailbox.forget(request_id)
            raise
        if not sent:
            raise mailbox.expire(request_id)
        return request_id

    def _stream(
        self,
        request_id: int,
        event: Callable[[dict[str, Any]], E | None],
        result: Callable[[Any], T],
    ) -> Stream[E, T]:
        from queuectl.sync.stream import Stream  # noqa: PLC0415 - few commands follow one

        return Stream(self._wire, request_id, event, result)


def _as_it_is(value: Any) -> Any:
    return value
