"""What a handler is given: the service it belongs to, and the client that asked."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from queuectl_protocol.vocabulary import Role
from queuectld.host.crew import Crew
from queuectld.linux.inotify import Watcher
from queuectld.server.connection.admission import Admission
from queuectld.server.connection.outbox import Outbox
from queuectld.server.connection.registry import Registry
from queuectld.server.context import Context
from queuectld.server.health.probe import HealthProbe
from queuectld.server.schema.method import Method

_READERS = 4
"""Output files that are read at the same time. To find a file's last lines can take a
read of 8 MiB."""


@dataclass(frozen=True, slots=True)
class Service:
    """What all connections share.

    Attributes:
        methods: the table, by name.
        files: tells when output files grow.
        connections: who is there.
        intake: what they all hold together.
        checking: held while a batch is checked, so that the loop has one at a time to
            do a turn of, and everybody else theirs.
        reading: the threads that read output files.
        examiner: looks at the store for monitors.
    """

    context: Context
    methods: Mapping[str, Method]
    files: Watcher = field(default_factory=Watcher)
    connections: Registry = field(default_factory=Registry)
    intake: Admission = field(default_factory=Admission)
    checking: asyncio.Lock = field(default_factory=asyncio.Lock)
    reading: Crew = field(default_factory=lambda: Crew("reading", _READERS, ready=True))
    examiner: HealthProbe = field(default_factory=HealthProbe)


@dataclass(frozen=True, slots=True, eq=False)
class Peer:
    """The client at the other end of one connection; bound workers belong to it.

    Attributes:
        uid: who it was when it connected.
        groups: what it was in then: its gid, then its supplementary groups.
        pid: which process that was; it may have ended, or handed the connection on.
        role: what it may do; None for one that is being turned away.
        streams: those that are open, by the id of their request.
        waiting: what has been carried out for it and only waits, to be cancelled when
            it is gone.
    """

    uid: int
    groups: tuple[int, ...]
    pid: int
    role: Role | None
    outbox: Outbox
    streams: dict[int | str, "Stream"] = field(default_factory=dict)
    waiting: set["asyncio.Task[Any]"] = field(default_factory=set)

    def may(self, role: Role) -> bool:
        """Whether it may do what that role may."""
        return self.role is not None and self.role.includes(role)

    @property
    def confined_to(self) -> int | None:
        """The uid whose jobs alone are its own to deal with; None: all are."""
        return None if self.may(Role.OPERATE) else self.uid


class Stream:
    """The events of one request, until its handler returns.

    Attributes:
        wake: set when the client has seen enough, and by whatever else the handler
            waits for.
        ended: the client has seen enough.
    """

    def __init__(self, request_id: int | str, outbox: Outbox) -> None:
        self._id = request_id
        self._outbox = outbox
        self._seq = 0
        self.wake = asyncio.Event()
        self.ended = False

    async def ready(self) -> None:
        """Wait until the client can take another event; give others a turn."""
        await asyncio.sleep(0)
        await self._outbox.drained()

    def send(self, body: dict[str, Any]) -> None:
        """Send an event. Wait for ``ready`` before making a large one."""
        self._seq += 1
        self._outbox.event(self._id, self._seq, body)

    def end(self) -> None:
        """Ask the handler to come to its end."""
        self.ended = True
        self.wake.set()


@dataclass(frozen=True, slots=True)
class Call:
    """One request on its way through its handler."""

    id: int | str
    service: Service
    peer: Peer

    @property
    def context(self) -> Context:
        """The daemon's parts."""
        return self.service.context

    @property
    def groups(self) -> tuple[int, ...] | None:
        """What a job is to remember of its submitter's groups; None: nothing."""
        return self.peer.groups if self.context.config().as_submitter else None

    def room(self) -> AbstractAsyncContextManager[None]:
        """Wait for room for a large reply; see ``Outbox.room``. Return it in there."""
        return self.peer.outbox.room()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Have what is waited for in here end with the connection.

        For a handler that has done what was asked: the rest is of use to nobody else.
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
    def stream(self) -> Iterator[Stream]:
        """Open the request's stream of events; ``unfollow`` can end it."""
        stream = Stream(self.id, self.peer.outbox)
        self.peer.streams[self.id] = stream
        try:
            yield stream
        finally:
            del self.peer.streams[self.id]
