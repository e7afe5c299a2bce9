"""The asyncio client: the same methods as ``Client``.

They are made of the functions in ``queuectl.calls``, which document them.
"""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Unpack

from queuectl.aio.groups import AsyncConfig, AsyncDaemon, AsyncDlq, AsyncWorkers
from queuectl.aio.methods import (
    collection,
    iterator,
    method,
    method_of_many,
    perform,
    stream,
)
from queuectl.aio.session import AsyncSession
from queuectl.calls import enqueue, jobs, output, queue
from queuectl.calls.call import WAITS
from queuectl.calls.enqueue import EnqueueMany, IfExists
from queuectl.errors import QueuectlError
from queuectl.inherit import for_daemon
from queuectl.submission import Command, JobOptions, NewJob

if TYPE_CHECKING:
    from queuectl.models import Job


class AsyncClient(AsyncSession):
    """A connection to the daemon, for asyncio programs.

        async with AsyncClient() as q:
            job = await q.enqueue("make -j4", label="nightly", max_retries=0)
            async for event in q.follow(job.id): ...
            print((await q.get(job.id)).exit_code)

    ``dlq``, ``config``, ``workers`` and ``daemon`` hold the methods about these. See
    ``AsyncSession`` for the arguments, and for requests without types. Every method can
    raise what ``AsyncSession.call`` does; its documentation names the errors to expect.
    """

    _waits = WAITS

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
        return await perform(self, enqueue.enqueue(job, lent, if_exists))

    async def enqueue_many(
        self,
        jobs: Iterable[Command | NewJob],
        *,
        if_exists: IfExists = "error",
        inherit: bool = True,
    ) -> builtins.list[str]:
        """Enqueue any number of jobs. See ``Client.enqueue_many``."""
        work = EnqueueMany(jobs, await self._lent(inherit), if_exists)
        batch = work.build()
        try:
            while batch is not None:
                under_way = asyncio.ensure_future(perform(self, batch))
                try:
                    await asyncio.sleep(0)  # it is sent before the next is built
                    following = work.build()
                    work.store(await under_way)
                finally:
                    under_way.cancel()
                batch = following
        except QueuectlError as error:
            work.place(error)
            raise
        return work.finish()

    get = method(jobs.get)
    attempts = collection(jobs.attempts)
    list = iterator(jobs.list_)
    cancel = method(jobs.cancel)
    retry = method(jobs.retry)
    start = method(jobs.start)
    delete = method(jobs.delete)
    cancel_many = method_of_many(jobs.cancel_many)
    retry_many = method_of_many(jobs.retry_many)
    start_many = method_of_many(jobs.start_many)
    delete_many = method_of_many(jobs.delete_many)
    retry_all = method(jobs.retry_all)
    position = method(jobs.position)
    wait = method(jobs.wait)
    prune = method(jobs.prune)

    logs = iterator(output.logs)
    follow = stream(output.follow)

    status = method(queue.status)
    health = method(queue.health)
    stats = method(queue.stats)
    doctor = method(queue.doctor)
    backup = method(queue.backup)
    describe = method(queue.describe)
    limits = method(queue.limits)
    ping = method(queue.ping)

    @property
    def _session(self) -> AsyncSession:
        return self

    async def _lent(self, wanted: bool) -> dict[str, Any]:
        return for_daemon(await self.connect(), self.place) if wanted else {}
