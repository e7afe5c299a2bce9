"""The blocking client: a typed method for everything the daemon does.

Adds nothing to what ``calls`` says but the sending and the waiting. Every method can
raise what ``Session.call`` does; errors named at a method are those to expect of it.
"""

from __future__ import annotations

import builtins
import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Unpack

from queuectl import calls, many
from queuectl.bulk import Bulk
from queuectl.calls import IfExists, StreamName
from queuectl.errors import QueuectlError
from queuectl.inherit import for_daemon
from queuectl.submission import Command, JobOptions, NewJob, Seconds
from queuectl.sync.groups import Config, Daemon, Dlq, Workers
from queuectl.sync.session import Session
from queuectl.sync.stream import Stream

if TYPE_CHECKING:
    from queuectl import models
    from queuectl.models import Attempt, Changed, Job


class Client(Session):
    """A connection to the daemon, for programs that wait.

        with Client() as q:
            job = q.enqueue("make -j4", label="nightly", max_retries=0)
            for event in q.follow(job.id): ...
            print(q.get(job.id).exit_code)

    ``dlq``, ``config``, ``workers`` and ``daemon`` hold the methods about these. See
    ``Session`` for the arguments, and for requests without types.
    """

    @property
    def dlq(self) -> Dlq:
        """The dead letter queue: jobs that failed more often than they may."""
        return Dlq(self)

    @property
    def config(self) -> Config:
        """The job settings."""
        return Config(self)

    @property
    def workers(self) -> Workers:
        """The worker processes."""
        return Workers(self)

    @property
    def daemon(self) -> Daemon:
        """The daemon itself."""
        return Daemon(self)

    def enqueue(
        self,
        command: Command,
        *,
        if_exists: IfExists = "error",
        inherit: bool = True,
        **options: Unpack[JobOptions],
    ) -> Job:
        """Enqueue a job. When this returns, the job is on disk.

        Args:
            command: a line for ``/bin/sh -c``, or a list: an exact argument vector.
            if_exists: what to do when the id is taken: an error, or return that job
                if it is the same.
            inherit: lend the job this process's directory, umask and environment, as
                far as ``options`` do not say otherwise. Nothing is lent to a daemon
                that runs as another user.
            options: see ``JobOptions``.

        Raises:
            AlreadyExistsError: the id is taken.
            ConflictError: with ``if_exists="return"``: and by a different job, or by
                one that runs as another user.
            InvalidParamsError: ``data["field"]`` has a bad value.
            QueueFullError: ``max_queued`` jobs wait.
        """
        job = {"command": command, **options}
        return self.perform(calls.enqueue(job, self._lent(inherit), if_exists))

    def enqueue_many(
        self,
        jobs: Iterable[Command | NewJob],
        *,
        if_exists: IfExists = "error",
        inherit: bool = True,
    ) -> builtins.list[str]:
        """Enqueue any number of jobs, in batches of 1,000; return their ids in order.

        Each batch is stored whole or not at all, and they are stored in order. When
        something is raised, ``error.data["ids"]`` are those of the jobs stored so far,
        which are the first so many; ``error.data["index"]`` is the place of the bad
        job, where one is to blame. (After ``ConnectionLostError`` the batch under way
        may be stored too.)

        Args:
            jobs: commands, or maps of ``command`` and ``JobOptions``.
            if_exists: as in ``enqueue``.
            inherit: as in ``enqueue``.

        Raises:
            InvalidParamsError, AlreadyExistsError ...: as ``enqueue``.
        """
        bulk = Bulk(jobs, self._lent(inherit), if_exists)
        batch = bulk.build()
        try:
            while batch is not None:
                under_way = self.send(batch.method, batch.params)
                try:
                    following = bulk.build()
                    bulk.store(batch.read(self.receive(under_way)))
                finally:
                    self.forget(under_way)
                batch = following
        except QueuectlError as error:
            bulk.place(error)
            raise
        return bulk.finish()

    def get(self, job_id: str, *, env: bool = False) -> Job:
        """Return a job; with ``env``, with its environment.

        Raises:
            NotFoundError: no job has this id.
        """
        return self.perform(calls.get(job_id, env=env))

    def attempts(self, job_id: str) -> tuple[Attempt, ...]:
        """Return the runs of a job, oldest first; one that goes on has no reason."""
        parts = [self.perform(calls.attempts(job_id))]
        while (earlier := parts[-1].following) is not None:
            parts.append(self.perform(earlier))
        return tuple(item for part in reversed(parts) for item in part.items)

    def list(
        self, state: str | Iterable[str] | None = None, *, limit: int | None = None
    ) -> Iterator[Job]:
        """Yield jobs, newest first, fetched a page at a time.

        Args:
            state: only those in this state, or in one of several.
            limit: so many at most; None: all.
        """
        return self.perform_parts(calls.list_jobs(state, limit))

    def cancel(
        self, job_id: str, *, if_state: str | None = None, wait: bool = True
    ) -> Job:
        """Cancel a job; return it.

        Args:
            job_id: the job's id.
            if_state: only if it is in this state.
            wait: for the processes of a running job to be gone.

        Raises:
            InvalidStateError: it is final already, or not in ``if_state``.
        """
        return self.perform(calls.cancel(job_id, if_state, wait=wait))

    def retry(self, job_id: str, *, if_state: str | None = None) -> Job:
        """Make a finished job pending again, with its whole retry budget.

        A job that waits for its retry (``failed``) gets it now.

        Raises:
            InvalidStateError: it is pending or running, or not in ``if_state``.
        """
        return self.perform(calls.retry(job_id, if_state))

    def start(self, job_id: str, *, if_state: str | None = None) -> Job:
        """Make a job due now that waits for its time; its retries stay as they are.

        It may be one for later, or one that waits for its retry (``failed``).

        Raises:
            InvalidStateError: it does not wait for its time, or is not in ``if_state``.
        """
        return self.perform(calls.start(job_id, if_state))

    def delete(self, job_id: str, *, if_state: str | None = None) -> models.JobBrief:
        """Delete a job that is over, with its attempts and output; return what it was.

        Raises:
            InvalidStateError: it waits or runs, or is not in ``if_state``.
        """
        return self.perform(calls.delete(job_id, if_state))

    def cancel_many(
        self, job_ids: Iterable[str], *, if_state: str | None = None, wait: bool = True
    ) -> tuple[Changed, ...]:
        """Cancel any number of jobs; return what became of each, in their order.

        A thousand at a time, each thousand in one transaction: no worker that one of
        them frees takes another of them. What cannot be cancelled is in ``error``, and
        nothing is raised about it.

        Args:
            job_ids: the jobs' ids.
            if_state: only those that are in this state.
            wait: for the processes of all that run to be gone.
        """
        batches = many.batches(job_ids)
        asked = [calls.cancel_many(batch, if_state, wait=wait) for batch in batches]
        return self.perform_each(asked)

    def retry_many(
        self, job_ids: Iterable[str], *, if_state: str | None = None
    ) -> tuple[Changed, ...]:
        """Retry any number of jobs; return what became of each. See ``cancel_many``."""
        batches = many.batches(job_ids)
        asked = [calls.retry_many(batch, if_state) for batch in batches]
        return self.perform_each(asked)

    def start_many(
        self, job_ids: Iterable[str], *, if_state: str | None = None
    ) -> tuple[Changed, ...]:
        """Start any number of jobs; return what became of each. See ``cancel_many``."""
        batches = many.batches(job_ids)
        asked = [calls.start_many(batch, if_state) for batch in batches]
        return self.perform_each(asked)

    def delete_many(
        self, job_ids: Iterable[str], *, if_state: str | None = None
    ) -> tuple[Changed, ...]:
        """Delete any number of jobs; return what became of each.

        As ``cancel_many``, but in smaller steps.
        """
        batches = many.batches(job_ids)
        asked = [calls.delete_many(batch, if_state) for batch in batches]
        return self.perform_each(asked)

    def retry_all(self, state: str, *, foreground: bool | None = None) -> int:
        """Retry all jobs in a state; return how many there were.

        Args:
            state: the state.
            foreground: only jobs of ``queuectl run`` and others that were enqueued as
                such, or only those that were not; None: all.
        """
        return self.perform(calls.retry_all(state, foreground))

    def position(self, job_id: str) -> models.Position:
        """Return what a job waits behind.

        Raises:
            NotFoundError: no job has this id.
        """
        return self.perform(calls.position(job_id))

    def wait(self, job_id: str, timeout: Seconds | None = None) -> Job:
        """Wait until a job is completed, dead or cancelled; return it.

        Raises:
            WaitTimeoutError: it was not, within ``timeout``.
            ShuttingDownError, ConnectionLostError: the daemon ended. The job did not:
                wait again.
        """
        return self.perform(calls.wait(job_id, timeout))

    def logs(
        self,
        job_id: str,
        stream: StreamName = "stdout",
        *,
        run: int | None = None,
        tail: int | None = None,
    ) -> Iterator[bytes]:
        """Yield what a run of a job has written so far, in pieces of up to 1 MiB.

        Args:
            job_id: the job's id.
            stream: which of the two.
            run: the number of the run; None: the last one.
            tail: only so many lines, the last.
        """
        return self.perform_parts(calls.logs(job_id, stream, run, tail))

    def follow(
        self,
        job_id: str,
        *,
        run: int | None = None,
        tail: int | None = None,
        streams: Iterable[StreamName] | None = None,
    ) -> Stream[models.FollowEvent, Job]:
        """Yield the output of a job as it comes, until the job is final.

        Its ``result`` is then the job. It goes on across retries: ``AttemptStarted``
        tells where a run begins, ``Output`` holds a piece, and ``OutputGone`` says that
        a run wrote more than the daemon still has. With ``run``, only that
        run is followed, until it ends.

        Args:
            job_id: the job's id.
            run: the number of the run.
            tail: of what is there already, only so many lines.
            streams: which of stdout and stderr; None: both.
        """
        return self.perform_stream(calls.follow(job_id, run, tail, streams))

    def prune(
        self, states: Iterable[str] | None = None, *, older_than: Seconds = 0
    ) -> int:
        """Delete finished jobs and their output; return how many.

        Args:
            states: of completed, cancelled and dead; None: the first two.
            older_than: only those finished so long ago.
        """
        return self.perform(calls.prune(states, older_than))

    def status(self) -> models.Status:
        """Return how many jobs are in each state, and how many workers there are."""
        return self.perform(calls.status())

    def health(self) -> models.Health:
        """Return what a monitor looks at.

        It comes within some seconds, also when the store does not answer; give the
        client a ``timeout`` for the case that the whole daemon does not.
        ``queuectl.health.judge`` says how bad it is.
        """
        return self.perform(calls.health())

    def stats(self, since: Seconds | None = None) -> models.Stats:
        """Return what happened in the last ``since`` seconds; None: ever."""
        return self.perform(calls.stats(since))

    def doctor(self, *, deep: bool = False) -> tuple[models.Check, ...]:
        """Return what the daemon finds when it examines itself.

        With ``deep`` it reads the whole database too, for up to a minute.
        """
        return self.perform(calls.doctor(deep=deep))

    def backup(
        self, path: str | os.PathLike[str], *, replace: bool = False
    ) -> models.Backup:
        """Have the daemon copy its database to a file, while work goes on.

        The file belongs to the daemon's user, who alone can read it. When this
        returns, it is on disk; when it raises, there is nothing of it.

        Args:
            path: of the copy; the daemon must be able to write there.
            replace: whether a file of that name may be replaced.

        Raises:
            AlreadyExistsError: there is a file of that name.
            InvalidParamsError: there is no such directory, or it is for the daemon's
                own files.
            StorageFullError, StorageError: it could not be written.
        """
        # The daemon has another current directory.
        path = os.path.abspath(path)  # noqa: PTH100 - Path is slow to import
        return self.perform(calls.backup(path, replace=replace))

    def describe(self) -> dict[str, Any]:
        """Return the protocol as data: methods, fields, forms, limits and errors.

        The types are there as JSON Schema, too.
        """
        return self.perform(calls.describe())

    def limits(self) -> dict[str, int]:
        """Return the daemon's limits, by name: ``max_batch``, ``max_word`` ..."""
        return self.perform(calls.limits())

    def ping(self) -> None:
        """Return when the daemon answers."""
        self.perform(calls.ping())

    def _lent(self, wanted: bool) -> dict[str, Any]:
        return for_daemon(self.greeting, self.place) if wanted else {}
