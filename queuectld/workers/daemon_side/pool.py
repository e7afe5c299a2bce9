"""The worker processes of a daemon: starts them, talks to them, sees them end.

It knows processes and messages. Which job goes to which worker, and how many workers
there should be, is decided above.
"""

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from functools import partial
from typing import Protocol

from queuectl_protocol.vocabulary import Reason
from queuectld.clock import Clock
from queuectld.core.job import Assignment, AttemptEnd, Job
from queuectld.host import logs
from queuectld.linux import procfs
from queuectld.workers.daemon_side import adopted, assignment
from queuectld.workers.daemon_side.channel import Channel
from queuectld.workers.daemon_side.handle import (
    RunningAttempt,
    WorkerHandle,
    attempt_of,
)
from queuectld.workers.daemon_side.launch import launch
from queuectld.workers.daemon_side.worker_config import WorkerConfig
from queuectld.workers.shared import messages, records
from queuectld.workers.shared.records import WorkerRecord

_events = logs.get("workers")

OVERDUE = 2.0
"""Seconds past timeout and grace after which the worker itself counts as stuck."""


class Observer(Protocol):
    """Receives what workers report."""

    def worker_ready(self, worker: WorkerHandle) -> None:
        """It can take jobs."""

    def attempt_finished(self, worker: WorkerHandle, end: AttemptEnd) -> None:
        """Its attempt ended, and no process of the job is left."""

    def worker_gone(self, worker: WorkerHandle) -> None:
        """Its process has ended; ``worker.attempt`` is what it left unfinished."""


class Pool:
    """All workers of one daemon.

    Attributes:
        workers: by number; only those whose process has not ended.
    """

    def __init__(self, config: WorkerConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._observer: Observer
        self.workers: dict[int, WorkerHandle] = {}
        self._births = threading.Lock()
        # Not orphans: the workers, and children that were there before. A script may
        # have started a helper and then exec'd the daemon.
        self._pids = set(procfs.children(os.getpid()))

    def __iter__(self) -> Iterator[WorkerHandle]:
        return iter(list(self.workers.values()))

    def report_to(self, observer: Observer) -> None:
        """Report to this observer what workers do. Call it before the first worker."""
        self._observer = observer

    # -- processes ----------------------------------------------------------------

    async def start(self, number: int, owner: object | None) -> WorkerHandle:
        """Start a worker; the observer is told when it is ready.

        Raises:
            OSError: the machine has no room for another process.
        """
        with self._births:
            launched = launch(number)
            self._pids.add(launched.pid)
        worker = WorkerHandle(
            number, launched.pid, launched.pidfd, None, owner, self._clock.wall()
        )
        worker.channel = await Channel.open(
            launched.socket, partial(self._received, worker)
        )
        worker.channel.send(self._config.hello(number, worker.started_at))
        self._watch(worker)
        _events.info("worker_started", worker=number, pid=worker.pid)
        return worker

    def adopt(
        self, record: WorkerRecord, pidfd: int, attempt: RunningAttempt | None
    ) -> WorkerHandle:
        """Add a worker that another daemon started and that still lives."""
        worker = adopted.handle_of(record, pidfd, attempt, self._clock.wall())
        self._watch(worker)
        _events.info("worker_adopted", **worker.about())
        return worker

    def reap(self) -> None:
        """Reap every child that ended: workers, and what jobs of dead workers left."""
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass

    def orphans(self) -> list[int]:
        """Return the children of this process that are no workers of its own.

        Dead workers left them: this process is a child subreaper. As process 1 it
        returns none, since every orphan of a container becomes its child. May be
        called from any thread.
        """
        if os.getpid() == 1:
            return []
        with self._births:
            return [p for p in procfs.children(os.getpid()) if p not in self._pids]

    def leave(self) -> None:
        """Close all channels: idle workers exit, the others finish their jobs first."""
        loop = asyncio.get_running_loop()
        for worker in self:
            loop.remove_reader(worker.pidfd)
            os.close(worker.pidfd)
            if worker.channel is not None:
                worker.channel.close()
        self.workers.clear()

    def record_again(self) -> None:
        """Write the workers' records, after those that they had written vanished.

        The workers go on writing to files that no longer have a name. Which job a
        worker runs, the next daemon knows from the store.
        """
        for worker in self:
            record = records.of_process(
                self._config.store_id, worker.number, worker.pid, worker.started_at
            )
            try:
                records.put(self._config.record_of(worker.number), record)
            except OSError as error:
                _events.error("worker_not_recorded", **worker.about(), error=str(error))

    def _watch(self, worker: WorkerHandle) -> None:
        self.workers[worker.number] = worker
        loop = asyncio.get_running_loop()
        loop.add_reader(worker.pidfd, self._ended, worker)

    def _ended(self, worker: WorkerHandle) -> None:
        asyncio.get_running_loop().remove_reader(worker.pidfd)
        os.close(worker.pidfd)
        del self.workers[worker.number]
        self.reap()
        self._pids.discard(worker.pid)
        if worker.channel is not None:
            worker.channel.close()
        _events.info("worker_ended", **worker.about())
        self._observer.worker_gone(worker)

    # -- conversation -------------------------------------------------------------

    def assign(
        self, worker: WorkerHandle, assigned: Assignment, kill_grace: float
    ) -> None:
        """Give an idle worker its next job. The claim is committed."""
        assert worker.channel is not None
        message = assignment.message_for(
            worker,
            assigned,
            kill_grace=kill_grace,
            as_submitter=self._config.as_submitter,
        )
        worker.attempt = attempt_of(worker.number, assigned.job)
        worker.attempt.deadline = self._deadline(message.timeout, kill_grace)
        worker.channel.send(message)

    def ack(self, worker: WorkerHandle, lease: int) -> None:
        """Tell a worker that its result is committed and that no job follows now."""
        if worker.channel is not None:
            worker.channel.send(messages.Ack(lease))

    def stop(self, worker: WorkerHandle) -> None:
        """Give a worker no further job: it exits when it is idle."""
        worker.stopping = True
        if worker.channel is not None:
            worker.channel.send(messages.Stop())

    def end_attempt(self, worker: WorkerHandle, reason: Reason, grace: float) -> bool:
        """End a worker's job: SIGTERM to all of it, ``grace`` seconds, SIGKILL.

        A worker that does not manage that in time is killed with its job. Return
        whether there was an attempt to end.
        """
        attempt = worker.attempt
        if attempt is None or attempt.reported:
            return False
        attempt.end_reason = attempt.end_reason or reason
        latest = self._clock.monotonic() + grace + OVERDUE
        attempt.deadline = min(attempt.deadline or latest, latest)
        if worker.channel is not None:
            worker.channel.send(messages.End(attempt.lease, reason, grace))
        else:
            # An adopted worker has no channel. SIGQUIT tells it to kill at once.
            self._signal(worker, signal.SIGTERM if grace else signal.SIGQUIT)
        return True

    def kill(self, worker: WorkerHandle) -> None:
        """Kill a worker that is stuck; the observer's ``worker_gone`` ends its job."""
        _events.warning("worker_stuck", **worker.about())
        self._signal(worker, signal.SIGKILL)

    def deadline_of(self, job: Job, record: WorkerRecord, grace: float) -> float | None:
        """Return the monotonic deadline of an attempt that another daemon started."""
        if not job.timeout:
            return None
        return self._deadline(adopted.time_left(job, record), grace)

    def _deadline(self, timeout: float, grace: float) -> float | None:
        if not timeout:
            return None
        return self._clock.monotonic() + timeout + grace + OVERDUE

    def _signal(self, worker: WorkerHandle, number: int) -> None:
        if self.workers.get(worker.number) is not worker:
            return  # it ended, and its pidfd may be another's by now
        # It may have ended just now; then the event loop is about to report it.
        with contextlib.suppress(ProcessLookupError):
            try:
                signal.pidfd_send_signal(worker.pidfd, number)
            except PermissionError:
                # A daemon of root started it, and this one no longer runs as root.
                _events.error(
                    "worker_not_signalled",
                    worker=worker.number,
                    pid=worker.pid,
                    job_id=worker.attempt and worker.attempt.job_id,
                    why="it runs as another user; as root, end it yourself",
                )

    def _received(self, worker: WorkerHandle, message: messages.ToDaemon) -> None:
        match message:
            case messages.Ready():
                worker.ready = True
                self._observer.worker_ready(worker)
            case messages.Finished():
                self._observer.attempt_finished(worker, message.end)
            case messages.Trouble():
                attempt = worker.attempt
                if attempt is not None and attempt.lease != message.lease:
                    attempt = None
                _events.warning(
                    "worker_trouble",
                    worker=worker.number,
                    lease=message.lease,
                    job_id=attempt and attempt.job_id,
                    message=message.message,
                )
