"""Which workers were started for which request, when several ask at the same time."""

from dataclasses import dataclass, field

from queuectld.workers.daemon_side.handle import WorkerHandle


@dataclass(slots=True, eq=False)
class StartRequest:
    """Workers that one request asked for.

    Attributes:
        owner: whose they are to be; see ``WorkerHandle.owner``.
        count: how many are still to be expected, those that came included.
        started: those that came.
    """

    owner: object | None
    count: int
    started: list[WorkerHandle] = field(default_factory=list)

    @property
    def fulfilled(self) -> bool:
        """Whether all have come and can take jobs."""
        return len(self.started) >= self.count and all(w.ready for w in self.started)


class StartRequests:
    """The requests that wait for workers, oldest first."""

    def __init__(self) -> None:
        self._waiting: list[StartRequest] = []

    def add(self, owner: object | None, count: int) -> StartRequest:
        """Expect so many workers more."""
        request = StartRequest(owner, count)
        self._waiting.append(request)
        return request

    def remove(self, request: StartRequest) -> None:
        """Expect nothing more for that request."""
        self._waiting.remove(request)

    def started(self, worker: WorkerHandle) -> None:
        """Give a new worker to whoever has waited longest for one."""
        for request in self._waiting:
            if request.owner is worker.owner and len(request.started) < request.count:
                request.started.append(worker)
                return

    def died(self, worker: WorkerHandle) -> None:
        """It ended by itself: who waited for it gets another."""
        for request in self._waiting:
            if worker in request.started:
                request.started.remove(worker)

    def stopped(self, worker: WorkerHandle) -> None:
        """Somebody stopped it: who waited for it gets no other."""
        for request in self._waiting:
            if worker in request.started:
                request.started.remove(worker)
                request.count -= 1
