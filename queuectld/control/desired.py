"""How many workers there should be, and for whom.

The wanted number of workers for any job is stored and survives restarts. The workers
that belong to a client's connection do not. This module only counts; workers are
started by ``starting`` and stopped by ``supervisor``.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, ItemsView, Iterable

from queuectld.broker import Broker
from queuectld.control.waiting import WaitingRequests
from queuectld.control.wakeup import WakeUp
from queuectld.core.errors import TooManyWorkersError
from queuectld.operations import lookups, upkeep
from queuectld.workers.daemon_side.handle import Reservation, WorkerHandle

MAX_WORKERS = 256

_WANTED = "workers_wanted"


class DesiredWorkers:
    """The numbers of desired workers by owner; see ``WorkerHandle.owner``.

    Attributes:
        draining: the daemon ends: no worker is started, and no job is claimed.
        lock: held while the wanted number is changed and stored.
    """

    def __init__(
        self, broker: Broker, waiting: WaitingRequests, wakeup: WakeUp
    ) -> None:
        self._broker = broker
        self._waiting = waiting
        self._wakeup = wakeup
        self._counts: Counter[object] = Counter()
        self.lock = asyncio.Lock()
        self.draining = False

    async def open(self) -> None:
        """Read how many workers are wanted."""
        self._counts[None] = int(await self._broker.read(lookups.meta, _WANTED) or 0)

    @property
    def wanted(self) -> int:
        """Workers wanted beside those that belong to a connection."""
        return self._counts[None]

    @property
    def for_any_job(self) -> int:
        """Workers desired that take any job."""
        counts = self._counts.items()
        return sum(n for owner, n in counts if not isinstance(owner, Reservation))

    def of(self, owner: object | None) -> int:
        """Return how many workers are desired for an owner."""
        return self._counts[owner]

    def items(self) -> ItemsView[object, int]:
        """Return all owners with their numbers."""
        return self._counts.items()

    async def want(self, change: Callable[[int], int]) -> None:
        """Change the wanted number; it is stored first. The caller holds ``lock``.

        Raises:
            TooManyWorkersError: nothing changed.
        """
        wanted = change(self.wanted)
        self._check_room(wanted - self.wanted)
        await self._broker.run(lambda tx: upkeep.set_meta(tx, _WANTED, str(wanted)))
        self._counts[None] = wanted
        self._changed()

    def add(self, owner: object, count: int) -> None:
        """Desire more workers for a connection or a reservation.

        Raises:
            TooManyWorkersError: nothing changed.
        """
        self._check_room(count)
        self._counts[owner] += count
        self._changed()

    def subtract(self, owner: object, count: int) -> None:
        """Desire fewer workers for a connection, unless it has ended meanwhile."""
        if owner in self._counts:
            self._counts[owner] -= count

    def remove(self, owner: object) -> None:
        """Desire no worker for an owner any more."""
        self._counts.pop(owner, None)

    def remove_peer(self, peer: object) -> bool:
        """Desire no worker for a connection any more; return whether any were."""
        owners = [owner for owner in self._counts if peer_of(owner) is peer]
        for owner in owners:
            del self._counts[owner]
        if owners:
            self._changed()
        return bool(owners)

    def clear(self) -> None:
        """Desire no workers at all."""
        self._counts.clear()

    def drain(self) -> None:
        """Start no worker any more, and refuse the requests that wait for one."""
        self.draining = True
        self._waiting.changed()

    def _changed(self) -> None:
        self._waiting.changed()
        self._wakeup.wake()

    def _check_room(self, count: int) -> None:
        if count > 0 and self._counts.total() + count > MAX_WORKERS:
            raise TooManyWorkersError(MAX_WORKERS)


def active(workers: Iterable[WorkerHandle], owner: object | None) -> list[WorkerHandle]:
    """Return the workers of an owner that are not being stopped."""
    return [w for w in workers if w.owner is owner and not w.stopping]


def peer_of(owner: object | None) -> object | None:
    """Return the connection that an owner of workers is, or belongs to."""
    return owner.peer if isinstance(owner, Reservation) else owner
