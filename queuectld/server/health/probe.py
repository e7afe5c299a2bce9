"""The measurements for a monitor: each made in seconds, or left out if something hangs.

It does not judge: which values are too high is for the monitor to say. Unlike
``doctor`` it writes to the store, as nothing else shows that writing works.
"""

import asyncio
import os
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from queuectl_protocol.vocabulary import JobState
from queuectld.broker import Broker
from queuectld.config import DaemonConfig
from queuectld.control.attempts import Attempts
from queuectld.host.thread_pool import ThreadPool
from queuectld.operations import upkeep
from queuectld.operations.lookups import Vitals
from queuectld.store.api import Store, StoreError

WITHIN = 2.0
"""Seconds for the store, and for the file system, to answer."""

_STATES = (JobState.PENDING, JobState.PROCESSING, JobState.FAILED, JobState.DEAD)

Facts = dict[str, Any]

_UNMEASURED: Facts = {"free": None, "wal_size": None, "spooled": 0}


@dataclass(frozen=True, slots=True)
class HealthProbe:
    """Measures what may hang, each kind once at a time.

    A measurement that hangs is not joined by another at each request of a monitor:
    later requests wait for the same one.

    Attributes:
        config: returns the configuration in force.
    """

    broker: Broker
    config: Callable[[], DaemonConfig]
    store: Store
    attempts: Attempts
    _running: dict[str, asyncio.Task[Facts]] = field(default_factory=dict)
    # A thread of its own: a file system that hangs delays nothing else.
    _thread: ThreadPool = field(
        default_factory=lambda: ThreadPool("health", 1, ready=True)
    )

    async def measure(self) -> Facts:
        """Return what is found out within ``WITHIN`` seconds."""
        store = self._run("store", self._measure_store)
        files = self._run("files", self._measure_files)
        await asyncio.wait([store, files], timeout=WITHIN)
        silent = f"it has not answered for {WITHIN:g} s"
        facts = {
            **(store.result() if store.done() else _store_facts(None, silent)),
            **(files.result() if files.done() else _UNMEASURED),
        }
        facts["unstored"] = len(self.attempts.unstored) + facts.pop("spooled")
        return facts

    def _run(
        self, kind: str, measure: Callable[[], Coroutine[Any, Any, Facts]]
    ) -> asyncio.Task[Facts]:
        task = self._running.get(kind)
        if task is None or task.done():
            task = self._running[kind] = asyncio.create_task(measure())
        return task

    async def _measure_store(self) -> Facts:
        vitals, problem = None, None
        try:
            vitals = await self.broker.vitals()
            await self.broker.run(upkeep.probe)
        except StoreError as error:
            problem = str(error)
        return _store_facts(vitals, problem)

    async def _measure_files(self) -> Facts:
        config = self.config()
        return await self._thread.run(
            _measure_files, config.state_dir, config.spool_dir, self.store
        )


def _store_facts(vitals: Vitals | None, problem: str | None) -> Facts:
    return {**_jobs(vitals), "store": {"problem": problem}}


def _jobs(vitals: Vitals | None) -> Facts:
    if vitals is None:
        keys = (*_STATES, "dead_lately", "oldest_ready")
        return dict.fromkeys(map(str, keys))
    oldest = vitals.oldest_ready
    return {
        **{state.value: vitals.counts[state] for state in _STATES},
        "dead_lately": vitals.dead_lately,
        "oldest_ready": None if oldest is None else oldest / 1000,
    }


def _measure_files(state: Path, spool: Path, store: Store) -> Facts:
    try:
        found = os.statvfs(state)
        return {
            "free": found.f_bavail * found.f_frsize,
            "wal_size": store.facts()["wal_size"],
            "spooled": sum(1 for _ in spool.iterdir()) if spool.exists() else 0,
        }
    except OSError:
        # The directory is gone, which the store tells.
        return _UNMEASURED
