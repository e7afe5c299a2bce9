"""The asyncio client below its typed methods: sends any request, waits for any reply.

It knows no method of the protocol by name.
"""

from __future__ import annotations

import asyncio
import socket as sockets
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar, Self, TypeVar

from queuectl import dial, paths
from queuectl.aio.link import AsyncLink
from queuectl.aio.stream import AsyncEventStream
from queuectl.calls.call import StreamCall
from queuectl.errors import RequestTimeoutError
from queuectl.mailbox import Mailbox, as_it_is

E = TypeVar("E")
T = TypeVar("T")


class AsyncSession:
    """A connection to the daemon, for any number of tasks of one event loop.

    It is opened by the first request, or by ``async with``. A connection that was lost,
    for example in a restart of the daemon, is opened again by the next request; those
    that were under way are never sent twice. A cancelled call is given up here; the
    daemon may carry it out.

    Args:
        socket: path of the daemon's socket; None for the usual queue: the one that
            the environment names, else one's own if there is one, else the system's
            if this user may use it, else one's own (see ``queuectl.paths``).
        queue: instead of a socket, ``user`` or ``system``.
        autostart: start a daemon when none answers, if the queue is one's own.
        timeout: seconds that the daemon may take to accept and to answer; None: any
            time. A method of ``AsyncClient`` that waits for jobs or workers has no
            limit.

    Raises:
        SocketPathError: the socket's path is too long for the kernel.
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
        self._connecting = asyncio.Lock()
        self._link: AsyncLink | None = None

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection. What is under way in the daemon goes on there."""
        self._closed = True
        if self._link:
            self._link.close()
            await self._link.wait_closed()

    async def connect(self) -> dict[str, Any]:
        """Open a connection, if none is open; return what the daemon says of itself.

        Raises:
            DaemonNotRunningError: nobody answers.
            ForbiddenError: this user may not use the socket.
            RequestTimeoutError: the daemon did not greet in time.
        """
        greeting = (await self._ready()).mailbox.greeting
        assert greeting is not None
        return greeting

    @property
    def greeting(self) -> dict[str, Any]:
        """What the daemon said of itself: ``version``, ``uid``, ``instance`` ...

        Raises:
            RuntimeError: there was no connection yet: see ``connect``.
        """
        if self._link is None or self._link.mailbox.greeting is None:
            raise RuntimeError(
                "not connected yet: use `async with`, or await connect()"
            )
        return self._link.mailbox.greeting

    async def call(self, method: str, params: Mapping[str, Any] | None = None) -> Any:
        """Send a request and return its result, as it is on the wire.

        Raises:
            RequestError: the daemon refused.
            RequestTimeoutError: it did not answer in time.
            ConnectionLostError: it went away; the outcome is unknown.
            DaemonNotRunningError: nobody answers.
        """
        link = await self._ready()
        mailbox = link.mailbox
        request_id, data = mailbox.request(method, params or {})
        try:
            async with asyncio.timeout(mailbox.limit(request_id)) as limit:
                await link.send(data)
                while not mailbox.answered(request_id):
                    await link.wait_for(request_id)
            return mailbox.take(request_id)
        except TimeoutError:
            if not limit.expired():
                raise
            raise mailbox.expire(request_id) from None
        finally:
            mailbox.forget(request_id)

    def stream(
        self, method: str, params: Mapping[str, Any] | None = None
    ) -> AsyncEventStream[dict[str, Any], Any]:
        """Return the events that answer a request, and its result at their end.

        Both are as they are on the wire. It has a connection to itself, opened when
        the first event is asked for. Its iteration raises as ``call``.
        """
        return self._open(method, params or {}, as_it_is, as_it_is)

    def open_stream(self, call: StreamCall[E, T]) -> AsyncEventStream[E, T]:
        """Return the typed events that answer a call, and its typed result."""
        return self._open(call.method, call.params, call.event, call.read)

    async def wait_closed(self) -> None:
        """Wait until the connection is closed; return at once when there is none."""
        if self._link:
            await self._link.wait_closed()

    def _open(
        self,
        method: str,
        params: Mapping[str, Any],
        event: Callable[[dict[str, Any]], E | None],
        result: Callable[[Any], T],
    ) -> AsyncEventStream[E, T]:
        connect = partial(self._connect, eager=False)
        return AsyncEventStream(connect, method, params, event, result)

    async def _ready(self) -> AsyncLink:
        if self._closed:
            raise RuntimeError("this client is closed")
        async with self._connecting:
            if self._link is None or self._link.mailbox.ended:
                self._link = await self._connect()
            return self._link

    async def _connect(self, *, eager: bool = True) -> AsyncLink:
        if self._closed:
            raise RuntimeError("this client is closed")
        connected = await self._dial()
        link = AsyncLink(connected, Mailbox(self._timeout, self._waits), eager=eager)
        loop = asyncio.get_running_loop()
        await loop.create_unix_connection(lambda: link, sock=connected)
        try:
            async with asyncio.timeout(self._timeout):
                await _await_greeting(link)
        except TimeoutError:
            link.close()
            raise RequestTimeoutError("the daemon did not greet in time") from None
        except BaseException:
            link.close()
            raise
        return link

    async def _dial(self) -> sockets.socket:
        # In a thread, because the start of a daemon takes a while, and because asyncio
        # believes that it is connected to a Unix socket whose backlog is full.
        connect = asyncio.to_thread(  # noqa: TID251 - the loop is the caller's
            dial.connect, self.place, autostart=self._autostart, timeout=self._timeout
        )
        dialling = asyncio.ensure_future(connect)
        try:
            return await asyncio.shield(dialling)
        except asyncio.CancelledError:
            dialling.add_done_callback(_hang_up)  # a thread cannot be cancelled
            raise


async def _await_greeting(link: AsyncLink) -> None:
    while link.mailbox.greeting is None:
        if link.mailbox.ended:
            raise link.mailbox.end_error()
        await link.wait_for(None)


def _hang_up(dialling: asyncio.Task[sockets.socket]) -> None:
    if not dialling.cancelled() and not dialling.exception():
        dialling.result().close()
