"""One connection: requests in, replies out, at the pace that both sides can keep.

Requests run side by side and are answered in the order in which they end. Nothing
here grows with what a client sends or fails to read: past a limit the socket is not
read, and the client waits in its own write. What came waits as bytes, and is read when
it may begin: read, it takes many times as much.
"""

import asyncio
import os
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Any

from queuectl_protocol.connection import ServerConnection
from queuectl_protocol.errors import ErrorCode, FrameTooLargeError
from queuectl_protocol.messages import BadMessageError, Request
from queuectl_protocol.vocabulary import Role
from queuectld.host import logs
from queuectld.server import access, audit, intake, limits, params
from queuectld.server.call import Call, Peer, Service
from queuectld.server.denial import denial
from queuectld.server.errors import (
    ForbiddenError,
    ShuttingDownError,
    TooManyRequestsError,
    UnknownMethodError,
    refusal,
)
from queuectld.server.greeting import greeting
from queuectld.server.method import Method
from queuectld.server.order import Order
from queuectld.server.outbox import Outbox

BEHIND = 16 * 1024
"""Bytes of requests with lists and maps that one connection may have read though their
turn has not come. What is over that waits as it came: see ``order``."""

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
        self._connection = ServerConnection(config.max_frame, limits.containers(config))
        self._waiting: deque[bytes] = deque()
        self._waiting_size = 0
        self._noted = 0
        self._tasks: dict[int | str, tuple[asyncio.Task[None], Method]] = {}
        self._order = Order()
        self._held_back: set[asyncio.Task[None]] = set()
        self._behind: list[asyncio.Task[None]] = []
        self._behind_size = 0
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
        self._peer = Peer(client.uid, client.groups, client.pid, role, self._outbox)
        if role is None:
            self._turn_away()
            return
        connections = self._service.connections
        operates = self._peer.may(Role.OPERATE)
        if objection := connections.objection(
            client.uid, operates=operates, limit=config.max_connections
        ):
            self._close(ErrorCode.TOO_MANY_CONNECTIONS, objection)
            return
        connections.add(self, client.uid)
        self._outbox.greet(greeting(self._service.context, self._peer))

    def data_received(self, data: bytes) -> None:
        """Take requests from the client."""
        try:
            frames = self._connection.receive_frames(data)
        except FrameTooLargeError as error:
            self._drop()
            self._close(ErrorCode.FRAME_TOO_LARGE, str(error))
            return
        if frames and self._noted:
            self._service.intake.release(self)  # it gets on, and is no old holder
        self._waiting += frames
        self._waiting_size += sum(map(len, frames))
        self.proceed()

    def pause_writing(self) -> None:
        """The client does not read."""
        self._outbox.pause()
        self._note()

    def resume_writing(self) -> None:
        """The client reads again."""
        self._outbox.resume()
        self.proceed()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """The client is gone: end what only it has a use for, let the rest be done."""
        self._lost = True
        self._drop()
        self._service.context.supervisor.release(self._peer)
        for task, method in self._tasks.values():
            if method.waits or method.bulky:
                task.cancel()
        # Those held back go with what they wait for: they have not begun, and would now
        # be let go by an end that is none.
        for task in (*self._peer.waiting, *self._held_back):
            task.cancel()
        # The others are carried out: they need not wait for a reader any more.
        self._outbox.resume()
        self._leave_if_over()

    # -- the end ------------------------------------------------------------------

    def finish(self) -> None:
        """Take no more requests; close when those at work are answered."""
        self._finishing = True
        self._transport.pause_reading()
        for frame in self._waiting:
            message = self._connection.read(frame)
            self._outbox.refuse(self._unused(message.id), ShuttingDownError())
        self._drop()
        for task, method in self._tasks.values():
            if method.waits:
                task.cancel()
        self._close_if_finished()

    def abort(self) -> None:
        """Close without waiting for a client that does not read."""
        self._transport.abort()

    def give_up(self) -> None:
        """Close: all clients together hold too much, and this one has for longest."""
        _log.warning("client_holds_too_much", **self._who(), size=self._noted)
        self._drop()
        if self._outbox.paused:
            self._transport.abort()  # it would not read why
            return
        self._close(
            ErrorCode.TOO_MANY_REQUESTS,
            "all clients together have more under way than max_buffered allows, and "
            "this one has had for longest; try again later, or in smaller requests",
        )

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

    def proceed(self) -> None:
        """Start what may be started; read on when nothing is left of what was read."""
        while self._waiting and self._has_room():
            frame = self._waiting.popleft()
            self._waiting_size -= len(frame)
            self._start(frame)
        if self._waiting:
            self._transport.pause_reading()
        elif not self._finishing:
            self._transport.resume_reading()
        self._note()

    def _has_room(self) -> bool:
        config = self._service.context.config()
        return (
            self._short < config.max_inflight
            and self._held < config.max_frame
            and not self._outbox.paused
            and all(task.done() for task in self._behind)
            and self._service.intake.admits(self, len(self._waiting[0]))
        )

    def _note(self) -> None:
        """Have it counted what this connection holds, if that is anything."""
        size = self._connection.pending + self._waiting_size
        if self._outbox.paused:
            size += self._transport.get_write_buffer_size()
        if size or self._noted:
            self._noted = size
            config = self._service.context.config()
            # One frame, and as much unread, is what each connection may have.
            limit = max(config.max_buffered, 2 * config.max_frame)
            self._service.intake.hold(self, size, limit)

    def _drop(self) -> None:
        """Hold nothing of what came any more, and take nothing more."""
        self._connection.forget()
        self._waiting.clear()
        self._waiting_size = self._noted = 0
        self._service.intake.release(self)

    def _start(self, frame: bytes) -> None:
        message = self._connection.read(frame)
        if isinstance(message, BadMessageError):
            known = self._unused(message.id)
            self._outbox.fail(known, ErrorCode.BAD_REQUEST, str(message))
            return
        if message.id in self._tasks:
            text = f"the request with id {message.id!r} is not answered yet"
            self._outbox.fail(None, ErrorCode.BAD_REQUEST, text)
            return
        try:
            method, arguments = self._checked(message)
        except Exception as error:  # noqa: BLE001 - the boundary of all checks
            self._refuse(message.id, message.method, error)
            return
        size = len(frame)
        weight = intake.weight(method, arguments, size)
        first = self._order.before(method, arguments)
        behind = size if first and weight else 0
        if behind:
            if self._behind_size + size > BEHIND:
                self._waiting.appendleft(frame)
                self._waiting_size += size
                self._behind = first
                return
            # What it waits for may wait for the client: others must not, for it.
            weight = 0
        self._service.intake.begin(weight)
        self._short += not method.waits
        self._held += size
        self._behind_size += behind
        task = asyncio.create_task(self._answer(message.id, method, arguments, first))
        self._order.add(task, method, arguments)
        if first:
            self._held_back.add(task)
            task.add_done_callback(self._held_back.discard)
        ended = partial(self._answered, message.id, method, (size, weight, behind))
        task.add_done_callback(ended)
        self._tasks[message.id] = task, method

    def _unused(self, request_id: int | str | None) -> int | str | None:
        """Return an id that a failure can carry; None for one that is at work.

        With that, it would look like the end of the other request.
        """
        return None if request_id in self._tasks else request_id

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

    def _checked(self, request: Request) -> tuple[Method, dict[str, Any]]:
        """Return what answers a request, and what it is given."""
        method = self._method(request.method)
        if self._peer.may(method.role):
            return method, params.checked(method.params, request.params)
        denied = ForbiddenError(method.name, method.role, self._peer.role)
        instead = denial(method, request, denied)
        if instead is None:
            raise denied
        return instead, {}

    async def _answer(
        self,
        request_id: int | str,
        method: Method,
        arguments: dict[str, Any],
        first: Sequence[asyncio.Task[None]],
    ) -> None:
        """Carry a request out when those that come ``first`` are answered."""
        if first:
            await asyncio.wait(first)
            task = asyncio.current_task()
            assert task is not None
            self._held_back.discard(task)
        try:
            if method.bulky:
                async with self._outbox.room(), self._service.intake.replies:
                    await self._call(request_id, method, arguments)
            else:
                await self._call(request_id, method, arguments)
        except Exception as error:  # noqa: BLE001 - the boundary of all handlers
            self._refuse(request_id, method.name, error)

    async def _call(
        self, request_id: int | str, method: Method, arguments: dict[str, Any]
    ) -> None:
        if method.audit is not None:
            for told in audit.records(method.audit, arguments):
                _log.info("requested", method=method.name, **self._who(), **told)
        call = Call(request_id, self._service, self._peer)
        self._outbox.reply(request_id, await method.handler(call, **arguments))

    def _refuse(self, request_id: int | str, method: str, error: Exception) -> None:
        code, _, data = refusal(error)
        if code is ErrorCode.INTERNAL:
            _log.exception("request_failed", error, method=method)
        elif code is ErrorCode.FORBIDDEN:
            whose = {"job_id": data["id"]} if data and "id" in data else {}
            who = self._who()
            _log.warning(
                "request_denied", method=method, **who, **whose, why=str(error)
            )
        self._outbox.refuse(request_id, error)

    def _who(self) -> dict[str, object]:
        """Return what the log says of the client."""
        peer = self._peer
        return {"uid": peer.uid, "pid": peer.pid, "role": peer.role}

    def _answered(
        self,
        request_id: int | str,
        method: Method,
        sizes: tuple[int, int, int],
        task: asyncio.Task[None],
    ) -> None:
        size, weight, behind = sizes
        if task.cancelled():
            # By us: see finish. When the client is gone, nobody reads this.
            self._outbox.refuse(request_id, ShuttingDownError())
        del self._tasks[request_id]
        self._short -= not method.waits
        self._held -= size
        self._behind_size -= behind
        if self._lost:
            self._leave_if_over()
        elif self._finishing:
            self._close_if_finished()
        else:
            self.proceed()
        self._service.intake.end(weight)
