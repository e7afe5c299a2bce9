"""The worker processes: started, adopted, spoken to, and noticed when they end.

Knows processes and messages, and nothing of why: which job goes to which worker, and
how many workers there should be, is decided above.
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
from queuectld.workers.daemon_side.channel import Channel
from queuectld.workers.daemon_side.handle import (
    RunningAttempt,
    WorkerHandle,
    attempt_of,
)
from queuectld.workers.daemon_side.launch import launch
from queuectld.workers.daemon_side.worker_config import WorkerConfig
from queuectld.workers.shared import accounts, messages, records
from queuectld.workers.shared.accounts import RunAs
from queuectld.workers.shared.records import WorkerRecord

_events = logs.get("workers")

OVERDUE = 2.0
"""Seconds past timeout and grace after which a worker itself is taken for stuck."""


_OF_ACCOUNT = b"\0"
"""The key of an account's minimal environment."""


class Listener(Protocol):
    """Who is told what workers do."""

    def worker_ready(self, worker: WorkerHandle) -> None:
        """It can take jobs."""

    def attempt_finished(self, worker: WorkerHandle, end: AttemptEnd) -> None:
        """Its run ended, and no process of the job is left."""

    def worker_gone(self, worker: WorkerHandle) -> None:
        """Its process has ended; ``worker.attempt`` is what it left unfinished."""


class Pool:
    """All workers of one daemon.

    Attributes:
        workers: by number; those whose process has ended are not among them.
    """

    def __init__(self, config: WorkerConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._listener: Listener
        self.workers: dict[int, WorkerHandle] = {}
        self._births = threading.Lock()
        # Children that were there before: a script may have started a helper of its
        # own and then exec'd the daemon.
        self._pids = set(procfs.children(os.getpid()))

    def __iter__(self) -> Iterator[WorkerHandle]:
        return iter(list(self.workers.values()))

    def report_to(self, listener: Listener) -> None:
        """Report to this listener what workers do. Call it before the first worker."""
        self._listener = listener

    # -- processes ----------------------------------------------------------------

    async def start(self, number: int, owner: object | None) -> WorkerHandle:
        """Start a worker; it is ready when the listener is told so.

        Raises:
            OSError: the machine has no room for another process.
        """
        with self._births:
            launched = launch(number)
            self._pids.add(launched.pid)
        worker = WorkerHandle(
            number, launched.pid, launched.pidfd, None, owner, self._clock.wall()
        )
        worker.link = await Channel.open(
            launched.socket, partial(self._received, worker)
        )
        worker.link.send(self._config.hello(number, worker.started_at))
        self._keep(worker)
        _events.info("worker_started", worker=number, pid=worker.pid)
        return worker

    def adopt(
        self, record: WorkerRecord, pidfd: int, run: RunningAttempt | None
    ) -> WorkerHandle:
        """Take in a worker that another daemon started and that is still alive."""
        started_at = record.started_at
        if started_at is None:  # a daemon started it that did not say
            elapsed = procfs.seconds_since(record.ticks)
            started_at = self._clock.wall() - round(elapsed * 1000)
        worker = WorkerHandle(record.worker, record.pid, pidfd, None, None, started_at)
        worker.ready = True
        worker.attempt = run
        self._keep(worker)
        _events.info("worker_adopted", **_about(worker))
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

        They are what dead workers left: this process is a child subreaper. Not so as
        process 1, to whom every orphan of a container comes. May be called from any
        thread.
        """
        if os.getpid() == 1:
            return []
        with self._births:
            return [p for p in procfs.children(os.getpid()) if p not in self._pids]

    def leave(self) -> None:
        """Let go of all workers: the idle end, the busy finish their jobs first."""
        loop = asyncio.get_running_loop()
        for worker in self:
            loop.remove_reader(worker.pidfd)
            os.close(worker.pidfd)
            if worker.link is not None:
                worker.link.close()
        self.workers.clear()

    def record_again(self) -> None:
        """Write down who the workers are, after their records have vanished.

        They go on writing to files that nobody finds. Which job one has, the next
        daemon knows from the store.
        """
        for worker in self:
            record = WorkerRecord(
                store=self._config.store_id,
                worker=worker.number,
                boot_id=procfs.boot_id(),
                pid=worker.pid,
                ticks=procfs.start_ticks(worker.pid) or 0,
            )
            path = self._config.record_of(worker.number)
            try:
                records.put(path, record)
            except OSError as error:
                _events.error("worker_not_recorded", **_about(worker), error=str(error))

    def _keep(self, worker: WorkerHandle) -> None:
        self.workers[worker.number] = worker
        loop = asyncio.get_running_loop()
        loop.add_reader(worker.pidfd, self._ended, worker)

    def _ended(self, worker: WorkerHandle) -> None:
        asyncio.get_running_loop().remove_reader(worker.pidfd)
        os.close(worker.pidfd)
        del self.workers[worker.number]
        self.reap()
        self._pids.discard(worker.pid)
        if worker.link is not None:
            worker.link.close()
        _events.info("worker_ended", **_about(worker))
        self._listener.worker_gone(worker)

    # -- conversation -------------------------------------------------------------

    def assign(
        self, worker: WorkerHandle, assignment: Assignment, kill_grace: float
    ) -> None:
        """Give an idle worker its next run. The claim is committed."""
        assert worker.link is not None
        job = assignment.job
        user = self._user(assignment)
        # One key stands for "no environment given": the minimal one.
        key = assignment.env_key or (b"" if user is None else _OF_ACCOUNT)
        known = worker.attempt is None and worker.env_key == key
        worker.env_key = key
        env = _minimal(user) if assignment.env is None else assignment.env
        worker.attempt = attempt_of(worker.number, assignment.job)
        worker.attempt.deadline = self._deadline(job.timeout, kill_grace)
        worker.link.send(
            messages.RunJob(
                lease=assignment.lease,
                seq=job.seq,
                run=job.runs,
                id=job.id,
                command=job.command,
                cwd=job.cwd,
                umask=job.umask,
                env=None if known else env,
                timeout=job.timeout,
                kill_grace=kill_grace,
                output_limit=job.output_limit,
                limits=job.limits,
                user=user,
                shell=job.shell,
            )
        )

    def _user(self, assignment: Assignment) -> RunAs | None:
        job = assignment.job
        # One that was enqueued to run as its submitter does so for good: a changed
        # configuration must not make it root.
        if not self._config.as_submitter and job.groups is None:
            return None
        return RunAs(job.submitter, job.groups, minimal=assignment.env is None)

    def ack(self, worker: WorkerHandle, lease: int) -> None:
        """Tell a worker that its result is committed and nothing else follows now."""
        if worker.link is not None:
            worker.link.send(messages.Ack(lease))

    def stop(self, worker: WorkerHandle) -> None:
        """Give a worker nothing more: it ends when it is idle."""
        worker.stopping = True
        if worker.link is not None:
            worker.link.send(messages.Stop())

    def end_attempt(self, worker: WorkerHandle, reason: Reason, grace: float) -> bool:
        """End what a worker runs: SIGTERM to all of it, ``grace`` seconds, SIGKILL.

        A worker that does not manage that in time is killed with its job. Return
        whether there was a run to end.
        """
        run = worker.attempt
        if run is None or run.reported:
            return False
        run.end_reason = run.end_reason or reason
        latest = self._clock.monotonic() + grace + OVERDUE
        run.deadline = min(run.deadline or latest, latest)
        if worker.link is not None:
            worker.link.send(messages.End(run.lease, reason, grace))
        else:
            # It listens to nobody but the kernel. SIGQUIT means: at once.
            self._signal(worker, signal.SIGTERM if grace else signal.SIGQUIT)
        return True

    def kill(self, worker: WorkerHandle) -> None:
        """Kill a worker that is stuck; what it ran is ended by who is told of it."""
        _events.warning("worker_stuck", **_about(worker))
        self._signal(worker, signal.SIGKILL)

    def deadline_of(self, job: Job, record: WorkerRecord, grace: float) -> float | None:
        """Return the monotonic deadline of a run that another daemon started.

        It is counted from the start of the job's process, which the kernel keeps in
        a time that no clock step moves. A run that has none yet begins now.
        """
        if not job.timeout:
            return None
        elapsed = 0.0
        if record.lease == job.lease and record.job_ticks is not None:
            elapsed = procfs.seconds_since(record.job_ticks)
        return self._deadline(max(0.001, job.timeout - elapsed), grace)

    def _deadline(self, timeout: float, grace: float) -> float | None:
        if not timeout:
            return None
        return self._clock.monotonic() + timeout + grace + OVERDUE

    def _signal(self, worker: WorkerHandle, number: int) -> None:
        if self.workers.get(worker.number) is not worker:
            return  # it ended, and its pidfd may be another's by now
        # It may have ended by itself just now; the loop will say so.
        with contextlib.suppress(ProcessLookupError):
            try:
                signal.pidfd_send_signal(worker.pidfd, number)
            except PermissionError:
                # A daemon of root's started it, and this one is not root's any more.
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
                self._listener.worker_ready(worker)
            case messages.Finished():
                self._listener.attempt_finished(worker, message.end)
            case messages.Trouble():
                run = worker.attempt
                about = run if run is not None and run.lease == message.lease else None
                _events.warning(
                    "worker_trouble",
                    worker=worker.number,
                    lease=message.lease,
                    job_id=about and about.job_id,
                    message=message.message,
                )


def _minimal(user: RunAs | None) -> dict[str, str]:
    # An account's is added by the worker, where looking it up may take its time.
    return accounts.own_environment() if user is None else {}


def _about(worker: WorkerHandle) -> dict[str, int | str]:
    """Return what the log says of a worker, and of the job it has, if it has one."""
    told: dict[str, int | str] = {"worker": worker.number, "pid": worker.pid}
    if worker.attempt is not None:
        told |= {"job_id": worker.attempt.job_id, "lease": worker.attempt.lease}
    return told
