"""What the daemon does without a request: prune, merge statistics, checkpoint.

Timers are armed by writes only, so that an idle daemon stays idle.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

from queuectld.control.agenda import Agenda
from queuectld.control.pruning import Pruner
from queuectld.host import logs
from queuectld.store.api import Store

_events = logs.get("scheduler")  # their name in the log


class Housekeeping:
    """Keeps the store small: prunes old jobs, and empties the store's log."""

    def __init__(self, store: Store, pruner: Pruner, agenda: Agenda) -> None:
        self._store = store
        self._pruner = pruner
        self._agenda = agenda
        self._tasks: set[asyncio.Task[None]] = set()

    def begin_due(self, now: float) -> float | None:
        """Begin what is due at this monotonic time; return when the next thing is."""
        if self._agenda.prune.due(now):
            self._begin(self._pruner.remove_old())
        if self._agenda.checkpoint.due(now):
            self._begin(self._store.checkpoint())
        times = (self._agenda.prune.at, self._agenda.checkpoint.at)
        return min((at for at in times if at is not None), default=None)

    def close(self) -> None:
        """Cancel the tasks under way: the next daemon begins them again."""
        for task in self._tasks:
            task.cancel()

    def _begin(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.get_running_loop().create_task(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, work: Coroutine[Any, Any, Any]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001 - the next write arms it again
            _events.exception("housekeeping_failed", error)
