"""Where units of work are committed: on the event loop itself, or in a thread.

To wake a thread for a commit, and the loop for its answer, takes longer than a commit
of a tenth of a millisecond. So while the disk is quick, light units run on the loop,
all those of one turn of the loop in one batch. A heavy unit, a checkpoint, or a commit
that took long sends everything to the thread, where nobody but the writers waits for
the disk. See docs/decisions/0007.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, TypeVar

from queuectld.store.api import StoreError
from queuectld.store.sqlite.batch import Batch, UnitOutcome
from queuectld.store.sqlite.threads import StoreThread, Task, answer
from queuectld.store.sqlite.transaction import SqliteTransaction

T = TypeVar("T")

MAX_BATCH = 1000
"""Weight of one transaction, at which it takes no more units: bounds how long the
first one waits for its answer. About 0.1 s."""

LIGHT = 10
"""Weight up to which a unit may run on the event loop: a millisecond of it, about."""

QUICK = 0.002
"""Seconds that a commit may take and still count as quick."""

PROOF = 16
"""Commits in a row that must have been quick before the loop itself commits."""

MAX_TURN = 100
"""Weight that one turn of the loop commits by itself; the thread takes larger ones."""

CHECKPOINT_AFTER = 250
"""Commits on the loop after which the thread moves the log into the database: some
2,500 pages, before SQLite would do it within a commit (``AUTOCHECKPOINT_PAGES``)."""


class Writer:
    """The one place that writes: one batch at a time."""

    def __init__(
        self,
        run: Callable[[Batch], list[UnitOutcome]],
        try_once: Callable[[Batch], list[UnitOutcome] | None],
        transaction: SqliteTransaction,
        *,
        checkpoint: Callable[[Any], Any],
        ping: Callable[[Any], Any],
        quick: float = QUICK,
    ) -> None:
        """Begin, in the thread.

        Args:
            run: commits a batch, however long that takes.
            try_once: commits a batch, or returns None when that takes time. Neither of
                the two is called while one of them runs.
            transaction: tells how long its last commit took.
            checkpoint: what ``run`` takes for a checkpoint, and not for a unit of work.
            ping: the same for a transaction that writes nothing.
            quick: seconds that a commit may take and count as quick; 0: none does.
        """
        self._run = run
        self._try_once = try_once
        self._transaction = transaction
        self._checkpoint = checkpoint
        self._ping = ping
        self._limit = quick
        self._loop = asyncio.get_running_loop()
        self._thread = StoreThread("store-writer", self._in_thread, MAX_BATCH)
        self._turn: list[Task] = []
        self._turn_weight = 0
        self._quick = 0  # commits in a row
        self._unmoved = 0
        self._closed = False

    def submit(self, work: Callable[[Any], T], weight: int = 1) -> asyncio.Future[T]:
        """Run a unit of work; return its result, which is there once it is committed.

        The result is a StoreError if it was not committed, or whatever ``work`` raised:
        then nothing of it remains.

        Raises:
            StoreError: the store is closed.
        """
        if self._closed:
            raise StoreError("the store is closed")
        future: asyncio.Future[T] = self._loop.create_future()
        task = Task(work, future, weight)
        if self._thread.pending or self._quick < PROOF or weight > LIGHT:
            self._hand_over()
            self._thread.submit(task)
            return future
        if not self._turn:
            self._loop.call_soon(self._commit_or_wait, 0)
        self._turn.append(task)
        self._turn_weight += weight
        if self._turn_weight > MAX_TURN:
            self._hand_over()
        return future

    async def alive(self) -> None:
        """Return once the thread has answered, and all that was handed in before.

        Also while the loop commits by itself: the thread must be there when the disk
        is slow again.

        Raises:
            StoreError: the store is closed.
        """
        if self._closed:
            raise StoreError("the store is closed")
        answered: asyncio.Future[None] = self._loop.create_future()
        self._hand_over()  # the loop must not write while the thread does
        self._thread.submit(Task(self._ping, answered, 1))
        # An error is an answer.
        with contextlib.suppress(StoreError):
            await answered

    async def close(self) -> None:
        """Do what waits, then end."""
        self._closed = True
        self._hand_over()
        await self._thread.stop()

    def _hand_over(self) -> None:
        """Give the thread what this turn has not committed yet."""
        for task in self._end_turn():
            self._thread.submit(task)

    def _end_turn(self) -> list[Task]:
        """Return the tasks that came with this turn; the next one begins empty."""
        tasks, self._turn, self._turn_weight = self._turn, [], 0
        return tasks

    def _commit_or_wait(self, seen: int) -> None:
        """Commit when a turn of the loop has brought nothing new since it was seen."""
        # Else what came meanwhile would wait for this commit, and then for its own: the
        # more clients, the more commits.
        if len(self._turn) > seen:
            self._loop.call_soon(self._commit_or_wait, len(self._turn))
        else:
            self._commit_turn()

    def _commit_turn(self) -> None:
        if not self._turn:
            return  # the thread has them
        outcomes = self._try_once([task.work for task in self._turn])
        if outcomes is None:
            self._quick = 0
            self._hand_over()
            return
        self._count_quick()
        answer(self._end_turn(), outcomes)
        self._unmoved += 1
        if self._unmoved >= CHECKPOINT_AFTER and not self._closed:
            self._move_log()

    def _move_log(self) -> None:
        self._unmoved = 0
        moved: asyncio.Future[None] = self._loop.create_future()
        # If it fails, the next one does its work, or SQLite within a commit.
        moved.add_done_callback(lambda done: done.exception())
        self._thread.submit(Task(self._checkpoint, moved, 1))

    def _in_thread(self, batch: Batch) -> list[UnitOutcome]:
        outcomes = self._run(batch)
        if any(work not in (self._checkpoint, self._ping) for work in batch):
            self._count_quick()
        return outcomes

    def _count_quick(self) -> None:
        quick = self._transaction.commit_took <= self._limit
        self._quick = self._quick + 1 if quick else 0
