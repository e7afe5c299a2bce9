"""What a monitor is told: found in seconds, or left out, whatever hangs.

Measures and does not judge: what is too much is for who asks to say. Unlike ``doctor``
it writes to the store, as nothing else shows that this can be done.
"""

import asyncio
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from queuectl_protocol.vocabulary import JobState
from queuectld.host.crew import Crew
from queuectld.operations.units import Vitals
from queuectld.server.context import Context
from queuectld.store.api import StoreError

WITHIN = 2.0
"""Seconds for the store, and for the file system, to answer."""

_TOLD = (JobState.PENDING, JobState.PROCESSING, JobState.FAILED, JobState.DEAD)

Facts = dict[str, Any]


class Examiner:
    """Looks at what may hang; of each kind there is one look at a time.

    One that hangs is not joined by another at each request of a monitor: who asks
    meanwhile waits for the same.
    """

    def __init__(self) -> None:
        self._looks: dict[str, asyncio.Task[Facts]] = {}
        # Its own: what hangs in there is nobody else's.
        self._crew = Crew("health", 1, ready=True)

    async def examine(self, context: Context) -> Facts:
        """Return what could be found out ``WITHIN`` its time."""
        store = self._look("store", lambda: _store(context))
        places = self._look("places", lambda: self._places(context))
        await asyncio.wait([store, places], timeout=WITHIN)
        silent = f"it has not answered for {WITHIN:g} s"
        unanswered: Facts = {**_jobs(None), "store": {"problem": silent}}
        unmeasured: Facts = {"free": None, "wal_size": None, "spooled": 0}
        facts = {
            **(store.result() if store.done() else unanswered),
            **(places.result() if places.done() else unmeasured),
        }
        facts["unstored"] = len(context.attempts.unstored) + facts.pop("spooled")
        return facts

    def _look(
        self, kind: str, begin: Callable[[], Coroutine[Any, Any, Facts]]
    ) -> asyncio.Task[Facts]:
        task = self._looks.get(kind)
        if task is None or task.done():
            task = self._looks[kind] = asyncio.create_task(begin())
        return task

    async def _places(self, context: Context) -> Facts:
        config = context.config()
        return await self._crew.run(
            _measure, config.state_dir, config.spool_dir, context
        )


async def _store(context: Context) -> Facts:
    vitals, problem = None, None
    try:
        vitals = await context.broker.vitals()
        await context.broker.probe()
    except StoreError as error:
        problem = str(error)
    return {**_jobs(vitals), "store": {"problem": problem}}


def _jobs(vitals: Vitals | None) -> Facts:
    if vitals is None:
        keys = (*_TOLD, "dead_lately", "oldest_ready")
        return dict.fromkeys(map(str, keys))
    oldest = vitals.oldest_ready
    return {
        **{state.value: vitals.counts[state] for state in _TOLD},
        "dead_lately": vitals.dead_lately,
        "oldest_ready": None if oldest is None else oldest / 1000,
    }


def _measure(state: Path, spool: Path, context: Context) -> Facts:
    try:
        found = os.statvfs(state)
        return {
            "free": found.f_bavail * found.f_frsize,
            "wal_size": context.store.facts()["wal_size"],
            "spooled": sum(1 for _ in spool.iterdir()) if spool.exists() else 0,
        }
    except OSError:
        # The directory is gone: the store says so.
        return {"free": None, "wal_size": None, "spooled": 0}
