"""What a handler is given for one request: its id, its client and its stream."""

import asyncio
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from queuectl_protocol.vocabulary import Role
from queuectld.server.connection.outbox import Outbox


@dataclass(frozen=True, slots=True, eq=False)
class Peer:
    """The client at the other end of one connection; bound workers belong to it.

    Attributes:
        uid: its user when it connected.
        groups: its groups then: its gid, then its supplementary groups.
        pid: its process then; it may have ended, or passed the connection on.
        role: what it may do; None for a client that is being refused.
        streams: the open ones, by the id of their request.
        waiting: requests that are carried out and only wait; cancelled when the client
            is gone.
    """

    uid: int
    groups: tuple[int, ...]
    pid: int
    role: Role | None
    outbox: Outbox
    streams: dict[int | str, "EventSender"] = field(default_factory=dict)
    waiting: set["asyncio.Task[Any]"] = field(default_factory=set)

    def may(self, role: Role) -> bool:
        """Whether it may do what that role may."""
        return self.role is not None and self.role.includes(role)

    @property
    def log_fields(self) -> dict[str, object]:
        """What the log tells of the client."""
        return {"uid": self.uid, "pid": self.pid, "role": self.role}

    @property
    def confined_to(self) -> int | None:
        """The uid whose jobs alone it may deal with; None: all jobs."""
        return None if self.may(Role.OPERATE) else self.uid


class EventSender:
    """The events of one request, until its handler returns.

    Attributes:
        wake: set when the client has seen enough, and by what else the handler waits
            for.
        ended: the client has seen enough.
    """

    def __init__(self, request_id: int | str, outbox: Outbox) -> None:
        self._id = request_id
        self._outbox = outbox
        self._seq = 0
        self.wake = asyncio.Event()
        self.ended = False

    async def ready(self) -> None:
        """Wait until the client can take another event; let other tasks run."""
        await asyncio.sleep(0)
        await self._outbox.drained()

    def send(self, body: dict[str, Any]) -> None:
        """Send an event. Await ``ready`` before making a large one."""
        self._seq += 1
        self._outbox.event(self._id, self._seq, body)

    def end(self) -> None:
        """Ask the handler to end."""
        self.ended = True
        self.wake.set()


@dataclass(frozen=True, slots=True)
class Call:
    """One request, as its handler sees it."""

    id: int | str
    peer: Peer

    def room(self) -> AbstractAsyncContextManager[None]:
        """Wait for room for a large reply, to be returned inside; see ``Outbox``."""
        return self.peer.outbox.room()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Cancel the handler if the connection ends while it waits inside.

        For a handler that has made its change and waits only to tell the client.
        """
        task = asyncio.current_task()
        assert task is not None
        if self.peer.outbox.gone:
            task.cancel()
        self.peer.waiting.add(task)
        try:
            yield
        finally:
            self.peer.waiting.discard(task)

    @contextmanager
    def stream(self) -> Iterator[EventSender]:
        """Open the request's stream of events; ``unfollow`` can end it."""
        stream = EventSender(self.id, self.peer.outbox)
        self.peer.streams[self.id] = stream
        try:
            yield stream
        finally:
            del self.peer.streams[self.id]
