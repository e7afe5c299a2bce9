"""One connection, from its acceptance to its end, at the pace both sides can keep.

Nothing here grows with what a client sends or fails to read: over a limit the socket is
not read, and the client waits in its own write. A frame stays unparsed until its
request may start, as it takes many times its size when parsed.
"""

import asyncio
import os
from collections import deque

from queuectl_protocol.connection import ServerConnection
from queuectl_protocol.errors import BadMessageError, ErrorCode, FrameTooLargeError
from queuectl_protocol.vocabulary import Role
from queuectld.host import logs
from queuectld.server.call import Peer
from queuectld.server.connection import access
from queuectld.server.connection.greeting import greeting
from queuectld.server.connection.outbox import Outbox
from queuectld.server.connection.requests import Requests
from queuectld.server.connection.shared import Shared
from queuectld.server.errors import ShuttingDownError
from queuectld.server.schema import wire_limits

_log = logs.get("server")


class ServerSession(asyncio.Protocol):
    """The server's end of one connection.

    Attributes:
        gone: set when the connection and all its requests have ended.
    """

    _transport: asyncio.Transport
    _outbox: Outbox
    _peer: Peer
    _requests: Requests

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        config = shared.config()
        self._codec = ServerConnection(config.max_frame, wire_limits.containers(config))
        self._unparsed: deque[bytes] = deque()
        self._unparsed_size = 0
        self._counted = 0
        self._finishing = False
        self._lost = False
        self.gone = asyncio.Event()

    # -- called by the loop -------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet the client, or refuse it for its user or for want of room."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._outbox = Outbox(self._codec, transport)
        config = self._shared.config()
        client = access.credentials(transport.get_extra_info("socket"))
        role = access.role(client, config.roles, owner=os.geteuid())
        self._peer = Peer(client.uid, client.groups, client.pid, role, self._outbox)
        self._requests = Requests(self._shared, self._peer, self._request_ended)
        if role is None:
            self._refuse_user()
            return
        connections = self._shared.connections
        operates = self._peer.may(Role.OPERATE)
        if objection := connections.objection(
            client.uid, operates=operates, limit=config.max_connections
        ):
            self._close(ErrorCode.TOO_MANY_CONNECTIONS, objection)
            return
        connections.add(self, client.uid)
        self._outbox.greet(greeting(self._peer, config, self._shared.instance))

    def data_received(self, data: bytes) -> None:
        """Take requests from the client."""
        try:
            frames = self._codec.receive_frames(data)
        except FrameTooLargeError as error:
            self._drop()
            self._close(ErrorCode.FRAME_TOO_LARGE, str(error))
            return
        if frames and self._counted:
            # It completed a frame, so it is not among the longest holders.
            self._shared.admission.release(self)
        self._unparsed += frames
        self._unparsed_size += sum(map(len, frames))
        self.proceed()

    def pause_writing(self) -> None:
        """Hold replies back: the client does not read."""
        self._outbox.pause()
        self._count()

    def resume_writing(self) -> None:
        """Go on: the client reads again."""
        self._outbox.resume()
        self.proceed()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """End what only the client has a use for; let its other requests be done."""
        self._lost = True
        self._drop()
        self._shared.client_gone(self._peer)
        self._requests.abandon()
        # The other requests need not wait for a reader any more.
        self._outbox.resume()
        self._leave_if_idle()

    # -- the end ------------------------------------------------------------------

    def finish(self) -> None:
        """Take no more requests; close when those at work are answered."""
        self._finishing = True
        self._transport.pause_reading()
        for frame in self._unparsed:
            message = self._codec.read(frame)
            unused = self._requests.unused(message.id)
            self._outbox.refuse(unused, ShuttingDownError())
        self._drop()
        self._requests.finish()
        self._close_if_finished()

    def abort(self) -> None:
        """Close without waiting for a client that does not read."""
        self._transport.abort()

    def shed(self) -> None:
        """Close: all clients together hold too much, and this one has for longest."""
        _log.warning(
            "client_holds_too_much", **self._peer.log_fields, size=self._counted
        )
        self._drop()
        if self._outbox.paused:
            self._transport.abort()  # the client would not read the reason
            return
        self._close(
            ErrorCode.TOO_MANY_REQUESTS,
            "all clients together have more under way than max_buffered allows, and "
            "this one has had for longest; try again later, or in smaller requests",
        )

    def _refuse_user(self) -> None:
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
        if self._finishing and not self._requests:
            self._outbox.flush()
            self._transport.close()

    def _leave_if_idle(self) -> None:
        if self._lost and not self._requests:
            self._shared.connections.discard(self)
            self.gone.set()

    # -- requests -----------------------------------------------------------------

    def proceed(self) -> None:
        """Start the requests that may start; read on when no frame is left unparsed."""
        while self._unparsed and self._has_room():
            frame = self._unparsed.popleft()
            self._unparsed_size -= len(frame)
            self._start(frame)
        if self._unparsed:
            self._transport.pause_reading()
        elif not self._finishing:
            self._transport.resume_reading()
        self._count()

    def _has_room(self) -> bool:
        return (
            self._requests.have_room(self._shared.config())
            and not self._outbox.paused
            and self._shared.admission.admits(self, len(self._unparsed[0]))
        )

    def _start(self, frame: bytes) -> None:
        message = self._codec.read(frame)
        if isinstance(message, BadMessageError):
            unused = self._requests.unused(message.id)
            self._outbox.fail(unused, ErrorCode.BAD_REQUEST, str(message))
        elif not self._requests.start(message, len(frame)):
            self._unparsed.appendleft(frame)
            self._unparsed_size += len(frame)

    def _request_ended(self) -> None:
        if self._lost:
            self._leave_if_idle()
        elif self._finishing:
            self._close_if_finished()
        else:
            self.proceed()

    # -- what this connection holds -----------------------------------------------

    def _count(self) -> None:
        """Have admission control count what this connection holds, if anything."""
        size = self._codec.pending + self._unparsed_size
        if self._outbox.paused:
            size += self._transport.get_write_buffer_size()
        if size or self._counted:
            self._counted = size
            limit = wire_limits.buffered(self._shared.config())
            self._shared.admission.hold(self, size, limit)

    def _drop(self) -> None:
        """Free everything received, and receive nothing more."""
        self._codec.forget()
        self._unparsed.clear()
        self._unparsed_size = self._counted = 0
        self._shared.admission.release(self)
