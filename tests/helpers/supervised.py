"""A scheduler on a real store, with a clock that stands still and nothing running.

For what it decides from one turn to the next. What it does with processes is tested
with the whole daemon.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from helpers.brokers import Desk, a_desk
from helpers.stores import KINDS, Home
from queuectld.control.scheduler import Scheduler
from queuectld.core.job import Assignment
from queuectld.store.api import Store, StoreFullError
from queuectld.workers.daemon_side.handle import WorkerHandle, attempt_of
from queuectld.workers.daemon_side.worker_config import WorkerConfig


@dataclass
class Supervised:
    """A queue and its scheduler, which takes a turn when it is told to."""

    desk: Desk
    scheduler: Scheduler

    async def turn(self) -> float | None:
        """Do what is due; return in how many seconds the next thing is."""
        due = await self.scheduler._tick()
        return None if due is None else round(due - self.desk.clock.monotonic(), 3)

    async def settled(self) -> None:
        """Wait until what was begun is done."""
        attempts = self.scheduler._attempts
        while begun := attempts._tasks | self.scheduler._chores:
            await asyncio.wait(begun)

    def refuse_next(self) -> None:
        """Let the next write fail, whatever it is."""

        async def refuse() -> None:
            raise StoreFullError("no room")

        self.desk.others.after_write = refuse

    def busy(self, assignment: Assignment) -> WorkerHandle:
        """Return a worker that has this run, and whose process has ended since."""
        assert assignment.job.worker is not None
        number, now = assignment.job.worker, self.desk.clock.now
        worker = WorkerHandle(number, 0, -1, None, None, now, ready=True)
        worker.attempt = attempt_of(number, assignment.job)
        return worker


@asynccontextmanager
async def supervised(folder: Path) -> AsyncIterator[Supervised]:
    """Open the store in a folder, and make a scheduler for it."""
    for name in ("output", "spool", "workers"):
        (folder / name).mkdir()
    config = WorkerConfig(
        store_id="store",
        output_dir=str(folder / "output"),
        spool_dir=str(folder / "spool"),
        records_dir=str(folder / "workers"),
        socket=str(folder / "socket"),
    )
    async with a_desk(Home(KINDS[0], folder)) as desk:
        store = cast("Store", desk.others)
        scheduler = Scheduler(desk.broker, store, config, desk.clock)
        await scheduler.open()
        yield Supervised(desk, scheduler)
        await scheduler.close()
