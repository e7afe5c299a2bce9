"""Gathers what ``doctor`` tells: runs every check of the daemon's side.

It reads, and changes nothing.
"""

import asyncio
import os
import pwd
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from queuectl_protocol.vocabulary import JobState
from queuectld.broker import Broker
from queuectld.config import DaemonConfig
from queuectld.control.supervisor import Supervisor
from queuectld.host.thread_pool import ThreadPool
from queuectld.operations import lookups
from queuectld.server.health import checks
from queuectld.server.health.checks import Check, Level
from queuectld.store.api import Store, StoreError

NAMED_WITHIN = 2.0
"""Seconds for a directory service to tell a user's name; else the uid is shown."""

DEEP_WITHIN = 60
"""Seconds for reading the whole database; meanwhile its log only grows."""

DAMAGED = (
    "the database is damaged: stop the daemon, keep a copy of the state directory, "
    "and put a backup in the database's place (docs/howto/backup.md); then look for "
    "the cause: the disk, the memory, another program"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Doctor:
    """Runs the checks of a daemon.

    Attributes:
        config: returns the configuration in force.
        socket: the path at which clients find the daemon.
    """

    broker: Broker
    store: Store
    supervisor: Supervisor
    config: Callable[[], DaemonConfig]
    socket: Path
    # A thread of its own, as a directory service may not answer.
    _names: ThreadPool = field(
        default_factory=lambda: ThreadPool("names", 1, ready=True)
    )

    async def checks(self) -> list[Check]:
        """Run all checks but the examination of the database."""
        config = self.config()
        if not config.database.exists():
            return [checks.gone(config.state_dir)]
        facts = self.store.facts()
        counts = await self.broker.read(lookups.counts)
        waiting = counts[JobState.PENDING] + counts[JobState.FAILED]
        user = await self._user_name(os.geteuid())
        return [
            checks.sqlite(facts["version"]),
            checks.file_system(config.state_dir),
            checks.space(config.state_dir),
            checks.wal(facts["wal_size"]),
            checks.reach(config.state_dir),
            checks.permissions(config),
            checks.trust(config, self.socket, user),
            checks.descriptors(config),
            checks.workers(self.supervisor.active, waiting),
        ]

    async def examine_database(self) -> Check:
        """Read the whole database."""
        return await database(self.store.examine())

    async def _user_name(self, uid: int) -> str:
        """Return a user's name, or its uid if the name is not found in time."""
        try:
            async with asyncio.timeout(NAMED_WITHIN):
                return (await self._names.run(pwd.getpwuid, uid)).pw_name
        except (KeyError, TimeoutError):
            return f"uid {uid}"


async def database(examination: Awaitable[list[str]]) -> Check:
    """Tell the result of an examination, which may take ``DEEP_WITHIN`` seconds."""
    try:
        async with asyncio.timeout(DEEP_WITHIN):
            problems = await examination
    except TimeoutError:
        return Check(
            "database",
            Level.WARNING,
            f"not read to its end within {DEEP_WITHIN} s; nothing wrong that far",
            "to examine all of it: queuectl backup FILE, and sqlite3 FILE "
            "'PRAGMA integrity_check'",
        )
    except StoreError as error:
        problems = [str(error)]
    if not problems:
        return Check("database", Level.OK, "all of it was read, and nothing is wrong")
    return Check("database", Level.ERROR, "; ".join(problems), DAMAGED)
