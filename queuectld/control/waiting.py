"""The requests that wait for workers to come or to go.

When several requests start workers at the same time, each new worker is counted for
one of them only.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from queuectld.workers.daemon_side.handle import WorkerHandle


@dataclass(slots=True, eq=False)
class StartRequest:
    """Workers that one request asked for.

    Attributes:
        owner: whose they are to be; see ``WorkerHandle.owner``.
        count: how many it gets in the end, unless some are stopped on request.
        started: those that were started for it.
    """

    owner: object | None
    count: int
    started: list[WorkerHandle] = field(default_factory=list)

    @property
    def fulfilled(self) -> bool:
        """Whether all are started and can take jobs."""
        return len(self.started) >= self.count and all(w.ready for w in self.started)


class WaitingRequests:
    """The waiting requests, the oldest first."""

    def __init__(self) -> None:
        self._starts: list[StartRequest] = []
        self._changed = asyncio.Event()

    def add(self, owner: object | None, count: int) -> StartRequest:
        """Expect so many new workers. ``remove`` must follow."""
        request = StartRequest(owner, count)
        self._starts.append(request)
        return request

    def remove(self, request: StartRequest) -> None:
        """Expect nothing more for that request."""
        self._starts.remove(request)

    async def until(self, predicate: Callable[[], bool]) -> None:
        """Return when the predicate is true. It is evaluated at each change."""
        while not predicate():
            self._changed.clear()
            await self._changed.wait()

    # -- what changes -------------------------------------------------------------

    def changed(self) -> None:
        """Have every waiting request evaluate its predicate again."""
        self._changed.set()

    def started(self, worker: WorkerHandle) -> None:
        """Give a new worker to the request that has waited longest for one."""
        for request in self._starts:
            if request.owner is worker.owner and len(request.started) < request.count:
                request.started.append(worker)
                return

    def died(self, worker: WorkerHandle) -> None:
        """A worker ended: unless it was stopped, its request gets another."""
        for request in self._starts:
            if worker in request.started:
                request.started.remove(worker)
        self.changed()

    def stopped(self, worker: WorkerHandle) -> None:
        """A worker is being stopped on request: its own request gets no other."""
        for request in self._starts:
            if worker in request.started:
                request.started.remove(worker)
                request.count -= 1
        self.changed()
