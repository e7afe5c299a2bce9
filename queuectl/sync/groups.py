"""The methods about one subject, behind one attribute of ``Client`` each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from queuectl import calls, many
from queuectl.submission import Seconds
from queuectl.sync.session import Session

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


class _Group:
    def __init__(self, session: Session) -> None:
        self._session = session


class Dlq(_Group):
    """The dead letter queue: jobs that failed more often than they may."""

    def list(self, *, limit: int | None = None) -> Iterator[Job]:
        """Yield the dead jobs, newest first; at most ``limit``."""
        return self._session.perform_parts(calls.list_jobs(calls.DEAD, limit))

    def retry(self, job_id: str) -> Job:
        """Make a dead job pending again, with its whole retry budget.

        Raises:
            InvalidStateError: it is not dead.
        """
        return self._session.perform(calls.retry(job_id, calls.DEAD))

    def retry_many(self, job_ids: Iterable[str]) -> tuple[Changed, ...]:
        """Retry those of these jobs that are dead; return what became of each."""
        batches = many.batches(job_ids)
        asked = [calls.retry_many(batch, calls.DEAD) for batch in batches]
        return self._session.perform_each(asked)

    def delete_many(self, job_ids: Iterable[str]) -> tuple[Changed, ...]:
        """Delete those of these jobs that are dead; return what became of each."""
        batches = many.batches(job_ids)
        asked = [calls.delete_many(batch, calls.DEAD) for batch in batches]
        return self._session.perform_each(asked)

    def retry_all(self, *, foreground: bool | None = None) -> int:
        """Retry all dead jobs; return how many there were.

        Args:
            foreground: as for ``Client.retry_all``.
        """
        return self._session.perform(calls.retry_all(calls.DEAD, foreground))

    def purge(self, *, older_than: Seconds = 0) -> int:
        """Delete the jobs that have been dead for so long; return how many."""
        return self._session.perform(calls.prune([calls.DEAD], older_than))


class Config(_Group):
    """The job settings. A ``Setting`` says which jobs a new value touches."""

    def get(self, key: str) -> Setting:
        """Return a setting.

        Raises:
            InvalidParamsError: there is no such setting.
        """
        return self._session.perform(calls.setting(key))

    def set(self, key: str, value: float | str) -> Setting:
        """Change a setting; return it as it is now.

        Args:
            key: its name.
            value: a number (seconds, bytes), or its written form: ``"5m"``, ``"1GiB"``.

        Raises:
            InvalidParamsError: no such setting, or a value out of its range.
        """
        return self._session.perform(calls.set_setting(key, value))

    def unset(self, key: str) -> Setting:
        """Give a setting its default again; return it as it is now."""
        return self._session.perform(calls.unset_setting(key))

    def list(self) -> tuple[Setting, ...]:
        """Return all settings."""
        return self._session.perform(calls.settings())


class Workers(_Group):
    """The worker processes, each of which runs one job at a time."""

    def list(self) -> tuple[Worker, ...]:
        """Return the workers there are."""
        return self._session.perform(calls.workers())

    def start(self, count: int = 1, *, bound: bool = False) -> tuple[Worker, ...]:
        """Start workers; return them when they are ready.

        Args:
            count: how many more; there are at most 256 in all.
            bound: they belong to this connection: its end stops them, and a restart
                of the daemon does not bring them back.
        """
        return self._session.perform(calls.start_workers(count, bound=bound))

    def ensure(self, count: int = 1) -> int:
        """Start as many workers as ``count`` lacks; return how many there are."""
        return self._session.perform(calls.ensure_workers(count))

    def reserve(self, job_id: str) -> bool:
        """Have a worker for one job alone, if there are none that take any.

        It belongs to this connection, and stops with that, or when the job is not ready
        to be run any more. Return whether one was added.
        """
        return self._session.perform(calls.reserve_worker(job_id))

    def wait(self) -> None:
        """Return when no worker is bound to this connection: all were stopped.

        By whomever. Workers that die are replaced, and end no wait.
        """
        self._session.perform(calls.wait_for_workers())

    def stop(
        self,
        *,
        timeout: Seconds | None = None,
        now: bool = False,
        numbers: Iterable[int] | None = None,
        count: int | None = None,
    ) -> Stopped:
        """Stop workers; return when their processes are gone.

        They take no new jobs and finish those they run. A job that is interrupted
        instead is pending again, and that run does not count.

        Args:
            timeout: interrupt jobs that take longer than this.
            now: interrupt jobs at once.
            numbers: only these workers; None: all, and none are wanted from now on.
            count: only so many, none of them bound, the idle first.
        """
        return self._session.perform(
            calls.stop_workers(timeout, numbers, count, now=now)
        )

    def scale(
        self, count: int, *, timeout: Seconds | None = None, now: bool = False
    ) -> Scaled:
        """Have ``count`` workers beside the bound ones; start or stop what it takes.

        Return when the new ones are ready, and the processes of the others gone.

        Args:
            count: how many; 0 is none.
            timeout: as for ``stop``.
            now: as for ``stop``.
        """
        return self._session.perform(calls.scale_workers(count, timeout, now=now))


class Daemon(_Group):
    """The daemon itself."""

    def status(self) -> DaemonStatus:
        """Return its pid, version, uptime and places."""
        return self._session.perform(calls.daemon_status())

    def stop(self, *, now: bool = False) -> None:
        """Tell it to stop, and return at once; ``wait_closed`` waits for the end.

        Args:
            now: interrupt running jobs at once, instead of after ``shutdown_grace``.
        """
        self._session.perform(calls.stop_daemon(now=now))

    def restart(self) -> None:
        """Tell it to exit and leave its workers to the next one; return at once."""
        self._session.perform(calls.restart_daemon())
