"""The stores that the conformance suite runs on, and what tests do with one.

A new store is an entry in ``KINDS``; nothing else in the suite knows which one it is.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.jobs import NOW
from queuectl_protocol.vocabulary import JobState
from queuectld.core import lifecycle, settings
from queuectld.core.job import Job, Submission
from queuectld.core.settings import Settings
from queuectld.store.api import Reader, Store, Transaction
from queuectld.store.sqlite.store import SqliteStore

DEFAULTS = settings.in_force({})

ALL = 1_000_000
"""More jobs than any test has."""


@dataclass(frozen=True, slots=True)
class StoreKind:
    """One implementation of ``Store``; ``make`` opens one that lives in a folder."""

    name: str
    make: Callable[[Path], Store]


KINDS = (StoreKind("sqlite", lambda folder: SqliteStore(folder / "queuectl.db")),)


@dataclass(frozen=True, slots=True)
class Home:
    """Where one store lives, so that it can be closed and opened again."""

    kind: StoreKind
    folder: Path

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Store]:
        """Open the store there, creating it the first time; close it at the end."""
        store = self.kind.make(self.folder)
        try:
            yield store
        finally:
            await store.close()


def insert(
    tx: Transaction,
    submission: Submission,
    settings: Settings = DEFAULTS,
    now: int = NOW,
) -> Job:
    """Insert the job that this submission makes."""
    env_key = None if submission.env is None else tx.keep_environment(submission.env)
    job = lifecycle.enqueue(
        submission, settings, now=now, seq=tx.next_seq(), env_key=env_key
    )
    tx.insert(job)
    return job


async def add(store: Store, now: int = NOW, **fields: Any) -> Job:
    """Insert a job, ``true`` unless said otherwise."""
    submission = Submission(**{"command": "true", **fields})
    return await store.write(lambda tx: insert(tx, submission, now=now))


async def put(store: Store, job: Job, **changes: Any) -> Job:
    """Write changed fields of a job; return what it is then."""
    new = job._replace(**changes)
    assert await store.write(lambda tx: tx.update(job, new))
    return new


async def end(
    store: Store, job: Job, state: JobState = JobState.COMPLETED, at: int = NOW
) -> Job:
    """Put a job into a final state."""
    return await put(store, job, state=state, due=None, finished_at=at, updated_at=at)


async def look(store: Store, job: Job) -> Job | None:
    """Return a job as the store has it now."""
    return await store.read(lambda reader: reader.job_by_seq(job.seq))


async def everything(store: Store) -> list[Job]:
    """Return all jobs, oldest first."""
    return await store.read(lambda reader: reader.page(None, None, ALL).jobs[::-1])


async def assert_counted(store: Store) -> None:
    """The counts are what counting the rows gives."""

    def compare(reader: Reader) -> None:
        jobs = reader.page(None, None, ALL).jobs
        rows = [job.state for job in jobs]
        assert reader.counts() == {state: rows.count(state) for state in JobState}
        assert reader.delayed() == sum(job.due is False for job in jobs)

    await store.read(compare)
