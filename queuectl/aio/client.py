"""The asyncio client: the same methods as ``Client``, where they are explained.

Adds nothing to what ``calls`` says but the sending and the waiting.
"""

from __future__ import annotations

import asyncio
import builtins
import os
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Any, Unpack

from queuectl import calls, many
from queuectl.aio.groups import AsyncConfig, AsyncDaemon, AsyncDlq, AsyncWorkers
from queuectl.aio.session import AsyncSession
from queuectl.aio.stream import AsyncStream
from queuectl.bulk import Bulk
from queuectl.calls import IfExists, StreamName
from queuectl.errors import QueuectlError
from queuectl.inherit import for_daemon
from queuectl.submission import Command, JobOptions, NewJob, Seconds

if TYPE_CHECKING:
    from queuectl import models
    from queuectl.models import Attempt, Changed, Job


class AsyncClient(AsyncSession):
    """A connection to the daemon, for asyncio programs.

        async with AsyncClient() as q:
            job = await q.enqueue("make -j4", label="nightly", max_retries=0)
            async for event in q.follow(job.id): ...
            print((await q.get(job.id)).exit_code)

    ``dlq``, ``config``, ``workers`` and ``daemon`` hold the methods about these. See
    ``AsyncSession`` for the arguments, and for requests without types.
    """

    @property
    def dlq(self) -> AsyncDlq:
        """The dead letter queue: jobs that failed more often than they may."""
        return AsyncDlq(self)

    @property
    def config(self) -> AsyncConfig:
        """The job settings."""
        return AsyncConfig(self)

    @property
    def workers(self) -> AsyncWorkers:
        """The worker processes."""
        return AsyncWorkers(self)

    @property
    def daemon(self) -> AsyncDaemon:
        """The daemon itself."""
        return AsyncDaemon(self)

    async def enqueue(
        self,
        command: Command,
        *,
        if_exists: IfExists = "error",
        inherit: bool = True,
        **options: Unpack[JobOptions],
    ) -> Job:
        """Enqueue a job. See ``Client.enqueue``."""
        job = {"command": command, **options}
        lent = await self._lent(inherit)
        return await self.perform(calls.enqueue(job, lent, if_exists))

    async def enqueue_many(
        self,
        jobs: Iterable[Command | NewJob],
        *,
        if_exists: IfExists = "error",
        inherit: bool = True,
    ) -> builtins.list[str]:
        """Enqueue any number of jobs. See ``Client.enqueue_many``."""
        bulk = Bulk(jobs, await self._lent(inherit), if_exists)
        batch = bulk.build()
        try:
            while batch is not None:
                under_way = asyncio.ensure_future(self.perform(batch))
                try:
                    await asyncio.sleep(0)  # it is sent before the next is built
                    following = bulk.build()
                    bulk.store(await under_way)
                finally:
                    under_way.cancel()
                batch = following
        except QueuectlError as error:
            bulk.place(error)
            raise
        return bulk.finish()

    async def get(self, job_id: str, *, env: bool = False) -> Job:
        """Return a job. See ``Client.get``."""
        return await self.perform(calls.get(job_id, env=env))

    async def attempts(self, job_id: str) -> tuple[Attempt, ...]:
        """Return the runs of a job. See ``Client.attempts``."""
        parts = [await self.perform(calls.attempts(job_id))]
        while (earlier := parts[-1].following) is not None:
            parts.append(await self.perform(earlier))
        return tuple(item for part in reversed(parts) for item in part.items)

    def list(
        self, state: str | Iterable[str] | None = None, *, limit: int | None = None
    ) -> AsyncIterator[Job]:
        """Yield jobs, newest first. See ``Client.list``."""
        return self.perform_parts(calls.list_jobs(state, limit))

    async def cancel(
        self, job_id: str, *, if_state: str | None = None, wait: bool = True
    ) -> Job:
        """Cancel a job; return it. See ``Client.cancel``."""
        return await self.perform(calls.cancel(job_id, if_state, wait=wait))

    async def retry(self, job_id: str, *, if_state: str | None = None) -> Job:
        """Make a finished job pending again. See ``Client.retry``."""
        return await self.perform(calls.retry(job_id, if_state))

    async def start(self, job_id: str, *, if_state: str | None = None) -> Job:
        """Make a job due now that waits for its time. See ``Client.start``."""
        return await self.perform(calls.start(job_id, if_state))

    async def delete(
        self, job_id: str, *, if_state: str | None = None
    ) -> models.JobBrief:
        """Delete a job that is over, with its output. See ``Client.delete``."""
        return await self.perform(calls.delete(job_id, if_state))

    async def cancel_many(
        self, job_ids: Iterable[str], *, if_state: str | None = None, wait: bool = True
    ) -> tuple[Changed, ...]:
        """Cancel any number of jobs. See ``Client.cancel_many``."""
        batches = many.batches(job_ids)
        asked = [calls.cancel_many(batch, if_state, wait=wait) for batch in batches]
        return await self.perform_each(asked)

    async def retry_many(
        self, job_ids: Iterable[str], *, if_state: str | None = None
    ) -> tuple[Changed, ...]:
        """Retry any number of jobs. See ``Client.retry_many``."""
        batches = many.batches(job_ids)
        asked = [calls.retry_many(batch, if_state) for batch in batches]
        return await self.perform_each(asked)

    async def start_many(
        self, job_ids: Iterable[str], *, if_state: str | None = None
    ) -> tuple[Changed, ...]:
        """Start any number of jobs. See ``Client.start_many``."""
        batches = many.batches(job_ids)
        asked = [calls.start_many(batch, if_state) for batch in batches]
        return await self.perform_each(asked)

    async def delete_many(
        self, job_ids: Iterable[str], *, if_state: str | None = None
    ) -> tuple[Changed, ...]:
        """Delete any number of jobs. See ``Client.delete_many``."""
        batches = many.batches(job_ids)
        asked = [calls.delete_many(batch, if_state) for batch in batches]
        return await self.perform_each(asked)

    async def retry_all(self, state: str, *, foreground: bool | None = None) -> int:
        """Retry all jobs in a state; return how many there were. See ``Client``."""
        return await self.perform(calls.retry_all(state, foreground))

    async def position(self, job_id: str) -> models.Position:
        """Return what a job waits behind. See ``Client``."""
        return await self.perform(calls.position(job_id))

    async def wait(
        self,
        job_id: str,
        timeout: Seconds | None = None,  # noqa: ASYNC109 - kept by the daemon
    ) -> Job:
        """Wait until a job is final; return it. See ``Client.wait``."""
        return await self.perform(calls.wait(job_id, timeout))

    def logs(
        self,
        job_id: str,
        stream: StreamName = "stdout",
        *,
        run: int | None = None,
        tail: int | None = None,
    ) -> AsyncIterator[bytes]:
        """Yield what a run of a job has written so far. See ``Client.logs``."""
        return self.perform_parts(calls.logs(job_id, stream, run, tail))

    def follow(
        self,
        job_id: str,
        *,
        run: int | None = None,
        tail: int | None = None,
        streams: Iterable[StreamName] | None = None,
    ) -> AsyncStream[models.FollowEvent, Job]:
        """Yield the output of a job as it comes. See ``Client.follow``."""
        return self.perform_stream(calls.follow(job_id, run, tail, streams))

    async def prune(
        self, states: Iterable[str] | None = None, *, older_than: Seconds = 0
    ) -> int:
        """Delete finished jobs and their output. See ``Client.prune``."""
        return await self.perform(calls.prune(states, older_than))

    async def status(self) -> models.Status:
        """Return how many jobs are in each state, and how many workers there are."""
        return await self.perform(calls.status())

    async def health(self) -> models.Health:
        """Return what a monitor looks at. See ``Client``."""
        return await self.perform(calls.health())

    async def stats(self, since: Seconds | None = None) -> models.Stats:
        """Return what happened in the last ``since`` seconds; None: ever."""
        return await self.perform(calls.stats(since))

    async def doctor(self, *, deep: bool = False) -> tuple[models.Check, ...]:
        """Return what the daemon finds when it examines itself. See ``Client``."""
        return await self.perform(calls.doctor(deep=deep))

    async def backup(
        self, path: str | os.PathLike[str], *, replace: bool = False
    ) -> models.Backup:
        """Have the daemon copy its database to a file. See ``Client.backup``."""
        path = os.path.abspath(path)  # noqa: ASYNC240, PTH100 - as in Client
        return await self.perform(calls.backup(path, replace=replace))

    async def describe(self) -> dict[str, Any]:
        """Return the protocol as data: methods, fields, forms, limits and errors.

        The types are there as JSON Schema, too.
        """
        return await self.perform(calls.describe())

    async def limits(self) -> dict[str, int]:
        """Return the daemon's limits, by name: ``max_batch``, ``max_word`` ..."""
        return await self.perform(calls.limits())

    async def ping(self) -> None:
        """Return when the daemon answers."""
        await self.perform(calls.ping())

    async def _lent(self, wanted: bool) -> dict[str, Any]:
        return for_daemon(await self.connect(), self.place) if wanted else {}
