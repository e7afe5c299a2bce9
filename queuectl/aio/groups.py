"""The methods about one subject, behind one attribute of ``AsyncClient`` each.

The same as in ``groups``, where they are explained.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING

from queuectl import calls, many
from queuectl.aio.session import AsyncSession
from queuectl.submission import Seconds

if TYPE_CHECKING:
    from queuectl.models import (
        Changed,
        DaemonStatus,
        Job,
        Scaled,
        Setting,
        Stopped,
        Worker,
    )


class _AsyncGroup:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session


class AsyncDlq(_AsyncGroup):
    """The dead letter queue. See ``Dlq``."""

    def list(self, *, limit: int | None = None) -> AsyncIterator[Job]:
        """Yield the dead jobs, newest first; at most ``limit``."""
        return self._session.perform_parts(calls.list_jobs(calls.DEAD, limit))

    async def retry(self, job_id: str) -> Job:
        """Make a dead job pending again, with its whole retry budget."""
        return await self._session.perform(calls.retry(job_id, calls.DEAD))

    async def retry_many(self, job_ids: Iterable[str]) -> tuple[Changed, ...]:
        """Retry those of these jobs that are dead. See ``Dlq.retry_many``."""
        batches = many.batches(job_ids)
        asked = [calls.retry_many(batch, calls.DEAD) for batch in batches]
        return await self._session.perform_each(asked)

    async def delete_many(self, job_ids: Iterable[str]) -> tuple[Changed, ...]:
        """Delete those of these jobs that are dead. See ``Dlq.delete_many``."""
        batches = many.batches(job_ids)
        asked = [calls.delete_many(batch, calls.DEAD) for batch in batches]
        return await self._session.perform_each(asked)

    async def retry_all(self, *, foreground: bool | None = None) -> int:
        """Retry all dead jobs; return how many there were."""
        return await self._session.perform(calls.retry_all(calls.DEAD, foreground))

    async def purge(self, *, older_than: Seconds = 0) -> int:
        """Delete the jobs that have been dead for so long; return how many."""
        return await self._session.perform(calls.prune([calls.DEAD], older_than))


class AsyncConfig(_AsyncGroup):
    """The job settings. See ``Config``."""

    async def get(self, key: str) -> Setting:
        """Return a setting."""
        return await self._session.perform(calls.setting(key))

    async def set(self, key: str, value: float | str) -> Setting:
        """Change a setting; return it as it is now."""
        return await self._session.perform(calls.set_setting(key, value))

    async def unset(self, key: str) -> Setting:
        """Give a setting its default again; return it as it is now."""
        return await self._session.perform(calls.unset_setting(key))

    async def list(self) -> tuple[Setting, ...]:
        """Return all settings."""
        return await self._session.perform(calls.settings())


class AsyncWorkers(_AsyncGroup):
    """The worker processes. See ``Workers``."""

    async def list(self) -> tuple[Worker, ...]:
        """Return the workers there are."""
        return await self._session.perform(calls.workers())

    async def start(self, count: int = 1, *, bound: bool = False) -> tuple[Worker, ...]:
        """Start workers; return them when they are ready. See ``Workers.start``."""
        return await self._session.perform(calls.start_workers(count, bound=bound))

    async def ensure(self, count: int = 1) -> int:
        """Start as many workers as ``count`` lacks; return how many there are."""
        return await self._session.perform(calls.ensure_workers(count))

    async def reserve(self, job_id: str) -> bool:
        """Have a worker for one job alone. See ``Workers.reserve``."""
        return await self._session.perform(calls.reserve_worker(job_id))

    async def wait(self) -> None:
        """Return when no worker is bound to this connection. See ``Workers.wait``."""
        await self._session.perform(calls.wait_for_workers())

    async def stop(
        self,
        *,
        timeout: Seconds | None = None,  # noqa: ASYNC109 - kept by the daemon
        now: bool = False,
        numbers: Iterable[int] | None = None,
        count: int | None = None,
    ) -> Stopped:
        """Stop workers; return when they are gone. See ``Workers.stop``."""
        return await self._session.perform(
            calls.stop_workers(timeout, numbers, count, now=now)
        )

    async def scale(
        self,
        count: int,
        *,
        timeout: Seconds | None = None,  # noqa: ASYNC109 - kept by the daemon
        now: bool = False,
    ) -> Scaled:
        """Have ``count`` workers beside the bound ones. See ``Workers.scale``."""
        return await self._session.perform(calls.scale_workers(count, timeout, now=now))


class AsyncDaemon(_AsyncGroup):
    """The daemon itself. See ``Daemon``."""

    async def status(self) -> DaemonStatus:
        """Return its pid, version, uptime and places."""
        return await self._session.perform(calls.daemon_status())

    async def stop(self, *, now: bool = False) -> None:
        """Tell it to stop, and return at once. See ``Daemon.stop``."""
        await self._session.perform(calls.stop_daemon(now=now))

    async def restart(self) -> None:
        """Tell it to exit and leave its workers to the next one; return at once."""
        await self._session.perform(calls.restart_daemon())
