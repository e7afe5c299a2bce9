"""The blocking client: a typed method for everything the daemon does.

Its methods are made of the functions in ``queuectl.calls``, which document them.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Unpack

from queuectl.calls import enqueue, jobs, output, queue
from queuectl.calls.call import WAITS
from queuectl.calls.enqueue import EnqueueMany, IfExists
from queuectl.errors import QueuectlError
from queuectl.inherit import for_daemon
from queuectl.submission import Command, JobOptions, NewJob
from queuectl.sync.groups import Config, Daemon, Dlq, Workers
from queuectl.sync.methods import (
    collection,
    iterator,
    method,
    method_of_many,
    perform,
    stream,
)
from queuectl.sync.session import Session

if TYPE_CHECKING:
    from queuectl.models import Job


class Client(Session):
    """A connection to the daemon, for programs that wait.

        with Client() as q:
            job = q.enqueue("make -j4", label="nightly", max_retries=0)
            for event in q.follow(job.id): ...
            print(q.get(job.id).exit_code)

    ``dlq``, ``config``, ``workers`` and ``daemon`` hold the methods about these. See
    ``Session`` for the arguments, and for requests without types. Every method can
    raise what ``Session.call`` does; its documentation names the errors to expect.
    """

    _waits = WAITS

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
            if_exists: what to do if the id is taken: raise an error, or return the job
                that has the id, if it is the same.
            inherit: give the job this process's directory, umask and environment, where
                ``options`` do not say otherwise. A daemon that runs as another user
                gets none of them.
            options: see ``JobOptions``.

        Raises:
            AlreadyExistsError: the id is taken.
            ConflictError: with ``if_exists="return"``: the id is taken by a different
                job, or by one that runs as another user.
            InvalidParamsError: ``data["field"]`` has a bad value.
            QueueFullError: ``max_queued`` jobs wait.
        """
        job = {"command": command, **options}
        return perform(self, enqueue.enqueue(job, self._lent(inherit), if_exists))

    def enqueue_many(
        self,
        jobs: Iterable[Command | NewJob],
        *,
        if_exists: IfExists = "error",
        inherit: bool = True,
    ) -> builtins.list[str]:
        """Enqueue any number of jobs, in batches of 1,000; return their ids in order.

        Each batch is stored whole or not at all, and they are stored in order. In an
        exception, ``error.data["ids"]`` are the ids of the jobs stored so far, which
        are the first so many; ``error.data["index"]`` is the position of the bad job,
        if one job is at fault. (After ``ConnectionLostError`` the batch under way may
        be stored too.)

        Args:
            jobs: commands, or maps of ``command`` and ``JobOptions``.
            if_exists: as in ``enqueue``.
            inherit: as in ``enqueue``.

        Raises:
            InvalidParamsError, AlreadyExistsError ...: as ``enqueue``.
        """
        work = EnqueueMany(jobs, self._lent(inherit), if_exists)
        batch = work.build()
        try:
            while batch is not None:
                under_way = self.send(batch.method, batch.params)
                try:
                    following = work.build()
                    work.store(batch.read(self.receive(under_way)))
                finally:
                    self.forget(under_way)
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
    def _session(self) -> Session:
        return self

    def _lent(self, wanted: bool) -> dict[str, Any]:
        return for_daemon(self.greeting, self.place) if wanted else {}
