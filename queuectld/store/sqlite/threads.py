"""A thread that does the store's work, and answers on the event loop."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

from queuectld.store.api import StoreError
from queuectld.store.sqlite import connection as database
from queuectld.store.sqlite.batch import Batch, UnitOutcome


@dataclass(slots=True)
class Task:
    """A unit of work, and where its outcome goes."""

    work: Callable[[Any], Any]
    future: asyncio.Future[Any]
    weight: int


def answer(tasks: list[Task], outcomes: list[UnitOutcome]) -> None:
    """Give each task its outcome; on the event loop."""
    for task, outcome in zip(tasks, outcomes, strict=True):
        if task.future.cancelled():
            continue
        if outcome.error is not None:
            task.future.set_exception(outcome.error)
        else:
            task.future.set_result(outcome.result)


class StoreThread:
    """Takes tasks from a queue in batches of a bounded weight.

    Attributes:
        pending: tasks that were handed in and are not answered yet.
    """

    def __init__(
        self, name: str, run: Callable[[Batch], list[UnitOutcome]], most: int
    ) -> None:
        self._run = run
        self._most = most
        self._queue: SimpleQueue[Task | None] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._stopped = False
        self._ended = asyncio.Event()
        self.pending = 0
        threading.Thread(target=self._serve, name=name, daemon=True).start()

    def submit(self, task: Task) -> None:
        """Hand in a task.

        Raises:
            StoreError: too late.
        """
        if self._stopped:
            raise StoreError("the store is closed")
        self.pending += 1
        self._queue.put(task)

    async def stop(self) -> None:
        """Do what is queued, then end."""
        self._stopped = True
        self._queue.put(None)
        await self._ended.wait()

    def _serve(self) -> None:
        ending = False
        while not ending:
            tasks: list[Task] = []
            weight = 0
            task = self._queue.get()
            while task is not None:
                tasks.append(task)
                weight += task.weight
                if weight >= self._most or self._queue.empty():
                    break
                task = self._queue.get()
            ending = task is None
            if tasks:
                outcomes = self._outcomes([task.work for task in tasks])
                self._loop.call_soon_threadsafe(self._answer, tasks, outcomes)
        self._loop.call_soon_threadsafe(self._ended.set)

    def _outcomes(self, batch: Batch) -> list[UnitOutcome]:
        try:
            return self._run(batch)
        except Exception as error:  # noqa: BLE001  # the thread must go on
            return [UnitOutcome(error=database.translate(error)) for _ in batch]

    def _answer(self, tasks: list[Task], outcomes: list[UnitOutcome]) -> None:
        self.pending -= len(tasks)
        answer(tasks, outcomes)
