"""The requests of one connection: checked, carried out side by side, answered.

They are answered in the order in which they end. A write waits for earlier writes to
the same job (``write_order``).
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from queuectl_protocol.errors import ErrorCode
from queuectl_protocol.messages import Request
from queuectld.config import DaemonConfig
from queuectld.host import logs
from queuectld.server import audit
from queuectld.server.call import Call, Peer
from queuectld.server.connection import admission, role_refusal
from queuectld.server.connection.shared import Shared
from queuectld.server.connection.write_order import WriteOrder
from queuectld.server.errors import (
    ShuttingDownError,
    TooManyRequestsError,
    UnknownMethodError,
    refusal,
)
from queuectld.server.schema import arguments
from queuectld.server.schema.method import Method

BLOCKED_MAX = 16 * 1024
"""Bytes of requests with lists and maps that one connection may have parsed while they
wait for earlier writes. What exceeds it waits unparsed."""

_log = logs.get("server")


class Requests:
    """The requests of one connection that are not answered yet.

    Args:
        shared: what all connections share.
        peer: the client.
        ended: called after each end of a request.
    """

    def __init__(self, shared: Shared, peer: Peer, ended: Callable[[], None]) -> None:
        self._shared = shared
        self._peer = peer
        self._outbox = peer.outbox
        self._ended = ended
        self._tasks: dict[int | str, tuple[asyncio.Task[None], Method]] = {}
        self._order = WriteOrder()
        self._blocked: set[asyncio.Task[None]] = set()
        self._blocked_size = 0
        self._blocks_next: Sequence[asyncio.Task[None]] = ()
        self._inflight = 0  # without those that wait as long as the client likes
        self._size = 0

    def __len__(self) -> int:
        return len(self._tasks)

    def have_room(self, config: DaemonConfig) -> bool:
        """Whether another request may start."""
        return (
            self._inflight < config.max_inflight
            and self._size < config.max_frame
            and all(task.done() for task in self._blocks_next)
        )

    def start(self, request: Request, size: int) -> bool:
        """Start a request, or refuse it.

        Returns:
            False if it must wait unparsed for earlier writes; see ``have_room``.
        """
        if request.id in self._tasks:
            text = f"the request with id {request.id!r} is not answered yet"
            self._outbox.fail(None, ErrorCode.BAD_REQUEST, text)
            return True
        try:
            method, given = self._checked(request)
        except Exception as error:  # noqa: BLE001 - the boundary of all checks
            self._refuse(request.id, request.method, error)
            return True
        weight = admission.weight(method, given, size)
        earlier = self._order.before(method, given)
        blocked = size if earlier and weight else 0
        if blocked:
            if self._blocked_size + size > BLOCKED_MAX:
                self._blocks_next = earlier
                return False
            # What it waits for may wait for the client, and must not delay others.
            weight = 0
        self._shared.admission.begin(weight)
        self._inflight += not method.waits
        self._size += size
        self._blocked_size += blocked
        task = asyncio.create_task(self._answer(request.id, method, given, earlier))
        self._order.add(task, method, given)
        if earlier:
            self._blocked.add(task)
            task.add_done_callback(self._blocked.discard)
        done = partial(self._done, request.id, method, (size, weight, blocked))
        task.add_done_callback(done)
        self._tasks[request.id] = task, method
        return True

    def unused(self, request_id: int | str | None) -> int | str | None:
        """Return the id if a failure can carry it; None for that of a request at work.

        A failure with that id would look like the end of the request at work.
        """
        return None if request_id in self._tasks else request_id

    def finish(self) -> None:
        """End those that wait as long as the client likes."""
        for task, method in self._tasks.values():
            if method.waits:
                task.cancel()

    def abandon(self) -> None:
        """End those that only the client has a use for; let the others be done."""
        for task, method in self._tasks.values():
            if method.waits or method.bulky:
                task.cancel()
        # The blocked ones have not started. They end too: the end of a request that was
        # cancelled would unblock them.
        for task in (*self._peer.waiting, *self._blocked):
            task.cancel()

    def _method(self, name: str) -> Method:
        method = self._shared.methods.get(name)
        if method is None:
            raise UnknownMethodError(name, self._shared.methods)
        limit = self._shared.config().max_inflight
        if method.waits and len(self._tasks) - self._inflight >= limit:
            raise TooManyRequestsError(
                f"{limit} requests of this connection wait for something already; "
                "use another connection, or raise max_inflight"
            )
        return method

    def _checked(self, request: Request) -> tuple[Method, dict[str, Any]]:
        """Return the method that answers a request, and its arguments."""
        method = self._method(request.method)
        if self._peer.may(method.role):
            return method, arguments.checked(method.params, request.params)
        find_job = self._shared.find_job
        return role_refusal.refusing(method, request, self._peer, find_job), {}

    async def _answer(
        self,
        request_id: int | str,
        method: Method,
        given: dict[str, Any],
        earlier: Sequence[asyncio.Task[None]],
    ) -> None:
        """Carry a request out when the ``earlier`` writes are answered."""
        if earlier:
            await asyncio.wait(earlier)
            task = asyncio.current_task()
            assert task is not None
            self._blocked.discard(task)
        try:
            if method.bulky:
                async with self._outbox.room(), self._shared.admission.replies:
                    await self._call(request_id, method, given)
            else:
                await self._call(request_id, method, given)
        except Exception as error:  # noqa: BLE001 - the boundary of all handlers
            self._refuse(request_id, method.name, error)

    async def _call(
        self, request_id: int | str, method: Method, given: dict[str, Any]
    ) -> None:
        if method.audit is not None:
            who = self._peer.log_fields
            for fields in audit.records(method.audit, given):
                _log.info("requested", method=method.name, **who, **fields)
        call = Call(request_id, self._peer)
        self._outbox.reply(request_id, await method.handler(call, **given))

    def _refuse(self, request_id: int | str, method: str, error: Exception) -> None:
        code, _, data = refusal(error)
        if code is ErrorCode.INTERNAL:
            _log.exception("request_failed", error, method=method)
        elif code is ErrorCode.FORBIDDEN:
            job = {"job_id": data["id"]} if data and "id" in data else {}
            who = self._peer.log_fields
            _log.warning("request_denied", method=method, **who, **job, why=str(error))
        self._outbox.refuse(request_id, error)

    def _done(
        self,
        request_id: int | str,
        method: Method,
        sizes: tuple[int, int, int],
        task: asyncio.Task[None],
    ) -> None:
        size, weight, blocked = sizes
        if task.cancelled():
            # By ``finish``, or by ``abandon``: then nobody reads this.
            self._outbox.refuse(request_id, ShuttingDownError())
        del self._tasks[request_id]
        self._inflight -= not method.waits
        self._size -= size
        self._blocked_size -= blocked
        self._ended()
        self._shared.admission.end(weight)
