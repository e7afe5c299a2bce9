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
from helpers.clocks import StandingClock
from helpers.stores import KINDS, Home
from queuectld.control.agenda import Agenda
from queuectld.control.attempts import Attempts
from queuectld.control.desired import DesiredWorkers
from queuectld.control.housekeeping import Housekeeping
from queuectld.control.left_results import LeftResults
from queuectld.control.pruning import Pruner
from queuectld.control.recovery import Recovery
from queuectld.control.scheduler import Scheduler
from queuectld.control.starting import WorkerStarter
from queuectld.control.supervisor import Supervisor
from queuectld.control.waiting import WaitingRequests
from queuectld.control.wakeup import WakeUp
from queuectld.core.job import Assignment
from queuectld.store.api import Store, StoreFullError
from queuectld.workers.daemon_side.handle import WorkerHandle, attempt_of
from queuectld.workers.daemon_side.pool import Pool
from queuectld.workers.daemon_side.worker_config import WorkerConfig


@dataclass
class Supervised:
    """A queue and its scheduler, which takes a turn when it is told to."""

    desk: Desk
    pool: Pool
    desired: DesiredWorkers
    supervisor: Supervisor
    recovery: Recovery
    attempts: Attempts
    housekeeping: Housekeeping
    scheduler: Scheduler

    async def turn(self) -> float | None:
        """Do what is due; return in how many seconds the next thing is."""
        due = await self.scheduler._tick()
        return None if due is None else round(due - self.desk.clock.monotonic(), 3)

    async def settled(self) -> None:
        """Wait until what was begun is done."""
        while begun := self.attempts._tasks | self.housekeeping._tasks:
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
    clock = StandingClock()
    wakeup = WakeUp(clock)
    agenda = Agenda(clock, wakeup, on_write=lambda: None)
    async with a_desk(Home(KINDS[0], folder), clock, agenda) as desk:
        broker, store = desk.broker, cast("Store", desk.others)
        pool = Pool(config, clock)
        waiting = WaitingRequests()
        desired = DesiredWorkers(broker, waiting, wakeup)
        starter = WorkerStarter(broker, pool, desired, waiting, clock)
        supervisor = Supervisor(
            broker=broker,
            pool=pool,
            desired=desired,
            waiting=waiting,
            starter=starter,
            wakeup=wakeup,
        )
        results = LeftResults(pool, config)
        recovery = Recovery(broker, pool, results, config, clock)
        attempts = Attempts(
            broker=broker,
            pool=pool,
            desired=desired,
            recovery=recovery,
            results=results,
            wakeup=wakeup,
            clock=clock,
        )
        pruner = Pruner(broker, config.output_dir, clock)
        housekeeping = Housekeeping(store, pruner, agenda)
        scheduler = Scheduler(
            broker=broker,
            pool=pool,
            desired=desired,
            starter=starter,
            supervisor=supervisor,
            attempts=attempts,
            housekeeping=housekeeping,
            agenda=agenda,
            wakeup=wakeup,
            clock=clock,
        )
        yield Supervised(
            desk, pool, desired, supervisor, recovery, attempts, housekeeping, scheduler
        )
        await scheduler.close()
