"""One connection: requests in, replies out, at the pace that both sides can keep.

Requests run side by side and are answered in the order in which they end. Nothing
here grows with what a client sends or fails to read: past a limit the socket is not
read, and the client waits in its own write.
"""

import asyncio
import os
from collections import deque
from functools import partial

from queuectl_protocol import __version__
from queuectl_protocol.connection import ServerConnection
from queuectl_protocol.errors import ErrorCode, FrameTooLargeError
from queuectl_protocol.messages import BadMessageError, Request
from queuectld import logs
from queuectld.server import access, params
from queuectld.server.call import Call, Peer, Service
from queuectld.server.errors import (
    ForbiddenError,
    ShuttingDownError,
    TooManyRequestsError,
    UnknownMethodError,
    refusal,
)
from queuectld.server.method import Method
from queuectld.server.outbox import Outbox

API = 1
"""The version of the protocol, and the oldest that is still spoken."""

CONTAINERS_OF_A_JOB = 10
"""Lists and maps that a message may hold for each job of the largest batch. A job has
three at most; a batch that is ten times too large is still told so in good order."""

_log = logs.get("server")


class Session(asyncio.Protocol):
    """The server's end of one connection.

    Attributes:
        gone: set when the connection and all its requests are over.
    """

    _transport: asyncio.Transport
    _outbox: Outbox
    _peer: Peer

    def __init__(self, service: Service) -> None:
        self._service = service
        config = service.context.config()
        self._connection = ServerConnection(
            config.max_frame, CONTAINERS_OF_A_JOB * config.max_batch
        )
        self._waiting: deque[Request | BadMessageError] = deque()
        self._tasks: dict[int | str, tuple[asyncio.Task[None], Method]] = {}
        self._short = 0
        self._held = 0
        self._finishing = False
        self._lost = False
        self.gone = asyncio.Event()

    # -- what the loop calls ------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet, or refuse a stranger and a connection over the limit."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._outbox = Outbox(self._connection, transport)
        config = self._service.context.config()
        client = access.credentials(transport.get_extra_info("socket"))
        role = access.role(client, config.roles, owner=os.geteuid())
        self._peer = Peer(client.uid, client.pid, role, self._outbox)
        if role is None:
            self._turn_away()
            return
        limit = config.max_connections
        if len(self._service.connections) >= limit:
            self._close(
                ErrorCode.TOO_MANY_CONNECTIONS,
                f"{limit} clients are connected and max_connections allows no more; "
                "try again later",
            )
            return
        self._service.connections.add(self)
        self._outbox.greet(self._greeting())

    def data_received(self, data: bytes) -> None:
        """Take requests from the client."""
        try:
            self._waiting += self._connection.receive_data(data)
        except FrameTooLargeError as error:
            self._close(ErrorCode.FRAME_TOO_LARGE, str(error))
            return
        self._proceed()

    def pause_writing(self) -> None:
        """The client does not read."""
        self._outbox.pause()

    def resume_writing(self) -> None:
        """The client reads again."""
        self._outbox.resume()
        self._proceed()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """The client is gone: end what only it has a use for, let the rest be done."""
        self._lost = True
        self._waiting.clear()
        self._service.context.scheduler.staff.release(self._peer)
        for task, method in self._tasks.values():
            if method.waits or method.bulky:
                task.cancel()
        # The others are carried out: they need not wait for a reader any more.
        self._outbox.resume()
        self._leave_if_over()

    # -- the end ------------------------------------------------------------------

    def finish(self) -> None:
        """Take no more requests; close when those at work are answered."""
        self._finishing = True
        self._transport.pause_reading()
        while self._waiting:
            self._outbox.refuse(self._waiting.popleft().id, ShuttingDownError())
        for task, method in self._tasks.values():
            if method.waits:
                task.cancel()
        self._close_if_finished()

    def abort(self) -> None:
        """Close without waiting for a client that does not read."""
        self._transport.abort()

    def _turn_away(self) -> None:
        _log.warning("client_refused", uid=self._peer.uid, pid=self._peer.pid)
        self._close(
            ErrorCode.FORBIDDEN,
            f"this daemon does not serve the user with uid {self._peer.uid}; whom it "
            "serves besides its own user is said in [roles] of queuectld.toml",
        )

    def _close(self, code: ErrorCode, message: str) -> None:
        self._outbox.fail(None, code, message)
        self._outbox.flush()
        self._transport.close()

    def _close_if_finished(self) -> None:
        if self._finishing and not self._tasks:
            self._outbox.flush()
            self._transport.close()

    def _leave_if_over(self) -> None:
        if self._lost and not self._tasks:
            self._service.connections.discard(self)
            self.gone.set()

    # -- requests -----------------------------------------------------------------

    def _proceed(self) -> None:
        """Start what may be started; read on when nothing is left of what was read."""
        while self._waiting and self._has_room():
            self._start(self._waiting.popleft())
        if self._waiting:
            self._transport.pause_reading()
        elif not self._finishing:
            self._transport.resume_reading()

    def _has_room(self) -> bool:
        config = self._service.context.config()
        return (
            self._short < config.max_inflight
            and self._held < config.max_frame
            and not self._outbox.paused
        )

    def _start(self, message: Request | BadMessageError) -> None:
        if isinstance(message, BadMessageError):
            self._outbox.fail(message.id, ErrorCode.BAD_REQUEST, str(message))
            return
        if message.id in self._tasks:
            # Without the id: it would look like the end of the other request.
            text = f"the request with id {message.id!r} is not answered yet"
            self._outbox.fail(None, ErrorCode.BAD_REQUEST, text)
            return
        try:
            method = self._method(message.method)
        except (UnknownMethodError, TooManyRequestsError) as error:
            self._outbox.refuse(message.id, error)
            return
        self._short += not method.waits
        self._held += message.size
        task = asyncio.create_task(self._answer(message, method))
        task.add_done_callback(partial(self._answered, message, method))
        self._tasks[message.id] = task, method

    def _method(self, name: str) -> Method:
        method = self._service.methods.get(name)
        if method is None:
            raise UnknownMethodError(name, self._service.methods)
        limit = self._service.context.config().max_inflight
        if method.waits and len(self._tasks) - self._short >= limit:
            raise TooManyRequestsError(
                f"{limit} requests of this connection wait for something already; "
                "use another connection, or raise max_inflight"
            )
        return method

    async def _answer(self, request: Request, method: Method) -> None:
        try:
            if method.bulky:
                async with self._outbox.room():
                    await self._call(request, method)
            else:
                await self._call(request, method)
        except Exception as error:  # noqa: BLE001 - the boundary of all handlers
            code = refusal(error).code
            if code is ErrorCode.INTERNAL:
                _log.exception("request_failed", error, method=method.name)
            elif code is ErrorCode.FORBIDDEN:
                _log.warning(
                    "request_denied", method=method.name, **self._who(), why=str(error)
                )
            self._outbox.refuse(request.id, error)

    async def _call(self, request: Request, method: Method) -> None:
        if not self._peer.may(method.role):
            raise ForbiddenError(method.name, method.role, self._peer.role)
        arguments = params.checked(method.params, request.params)
        if method.audit is not None:
            told = {name: arguments[name] for name in method.audit}
            _log.info("requested", method=method.name, **self._who(), **told)
        call = Call(request.id, self._service, self._peer)
        self._outbox.reply(request.id, await method.handler(call, **arguments))

    def _who(self) -> dict[str, object]:
        """Return what the log says of the client."""
        peer = self._peer
        return {"uid": peer.uid, "pid": peer.pid, "role": peer.role}

    def _answered(
        self, request: Request, method: Method, task: asyncio.Task[None]
    ) -> None:
        if task.cancelled():
            # By us: see finish. When the client is gone, nobody reads this.
            self._outbox.refuse(request.id, ShuttingDownError())
        del self._tasks[request.id]
        self._short -= not method.waits
        self._held -= request.size
        if self._lost:
            self._leave_if_over()
        elif self._finishing:
            self._close_if_finished()
        else:
            self._proceed()

    def _greeting(self) -> dict[str, object]:
        context = self._service.context
        return {
            "server": "queuectld",
            "version": __version__,
            "api": API,
            "min_api": API,
            "instance": context.instance,
            "max_frame": context.config().max_frame,
            "features": [],
            "uid": os.geteuid(),
            "you": {"uid": self._peer.uid, "role": self._peer.role},
        }
