"""One worker at work: the loop, and its dealings with the daemon.

Owns the order in which things happen around a run: output files before the spawn, the
record after it, the result until it is committed, the spool when nobody takes it. One
thread and one poll; idle, it waits in that without a timeout.
"""

import math
import os
import select
import signal
from collections.abc import Sequence

from queuectl_protocol.errors import ProtocolError
from queuectl_protocol.vocabulary import Reason
from queuectld.clock import Clock
from queuectld.core.job import AttemptEnd
from queuectld.linux import procfs, rlimits
from queuectld.linux.procfs import ProcessId
from queuectld.workers.shared import cgroup, messages, outputs, spool
from queuectld.workers.shared.records import RecordFile, WorkerRecord
from queuectld.workers.worker_side import (
    channel,
    confine,
    descendants,
    outcome,
    signals,
    spawn,
)
from queuectld.workers.worker_side.channel import Channel
from queuectld.workers.worker_side.running_job import RunningJob

RETRY_INTERVAL = 1.0
"""Seconds until a file that could not be written is tried again."""

_LONGEST_POLL = 86_400_000  # ms; poll(2) takes no more than an int


_Spare = tuple[str | None, str | None]
_NO_FILES: _Spare = (None, None)


class Worker:
    """One worker, from the hello to its exit."""

    def __init__(
        self,
        hello: messages.Hello,
        link: Channel,
        signal_file: signals.SignalFile,
        clock: Clock,
    ) -> None:
        if hello.descriptors is not None:
            rlimits.lower_descriptors(hello.descriptors)
        self._hello = hello
        self._link = link
        self._signals = signal_file
        self._clock = clock
        self._memory = procfs.MemoryWatch()
        self._own_memory = procfs.OwnMemory()
        self._reset = signals.changed()
        self._poll = select.poll()
        # Ready files come in this order: what happened before what is wanted.
        self._poll.register(signal_file.fd, select.POLLIN)
        self._poll.register(link.fd, select.POLLIN)
        self._env: dict[str, str] = {}
        self._order: messages.RunJob | None = None
        self._running: RunningJob | None = None
        self._retry_at = math.inf
        self._result: tuple[messages.RunJob, AttemptEnd] | None = None
        self._leaving = False
        self._terminations = 0
        self._blamed: str | None = None
        self._identity = WorkerRecord(
            store=hello.store,
            worker=hello.worker,
            boot_id=procfs.boot_id(),
            pid=os.getpid(),
            ticks=procfs.start_ticks(os.getpid()) or 0,
            started_at=hello.started_at,
        )
        self._record = RecordFile(hello.record)
        self._record.write(self._identity)
        self._record.reserve()

    def run(self, received: Sequence[messages.Message]) -> int:
        """Serve until there is nothing left to do; return the exit status.

        Args:
            received: what came together with the hello.
        """
        self._link.send(messages.Ready(os.getpid()))
        self._handle(received)
        while self._wanted():
            for fd, _ in self._poll.poll(self._patience()):
                if fd == self._signals.fd:
                    self._take_signals()
                else:
                    self._take_messages()
            self._do_due()
        return self._leave()

    # What it waits for

    def _wanted(self) -> bool:
        if self._running:
            return True
        if not self._link.open or self._terminations > 1:
            # A run that waits for its output files never started; nobody misses it.
            return False
        return bool(self._order or self._result or not self._leaving)

    def _patience(self) -> int | None:
        """Return milliseconds until something is due; None for ever."""
        due = self._running.due if self._running else self._retry_at
        if due == math.inf:
            return None
        left = math.ceil((due - self._clock.monotonic()) * 1000)
        return min(max(0, left), _LONGEST_POLL)

    def _do_due(self) -> None:
        running = self._running
        if running:
            running.tick()
            if running.trouble:
                self._tell(running.job.lease, running.trouble)
            if running.over:
                self._finish(running)
        elif self._order and self._clock.monotonic() >= self._retry_at:
            self._start(self._order)

    # Signals

    def _take_signals(self) -> None:
        child_ended = False
        for one in self._signals.read():
            if one.number == signal.SIGCHLD:
                child_ended = True
            else:
                self._terminated(one)
        # Only now: until they are reaped, senders that ended can still be told.
        if child_ended:
            if self._running:
                self._running.child_ended()
            else:
                descendants.reap(None)

    def _terminated(self, by: signals.Received) -> None:
        if self._order and procfs.descends(by.sender, os.getpid()):
            # Else a job could be interrupted, and so repeated, by itself for ever.
            name = outcome.signal_name(by.number)
            self._tell(self._order.lease, [f"ignores {name}: its own job sent it"])
            return
        self._blame(by)
        self._leaving = True
        self._terminations += 2 if by.number == signal.SIGQUIT else 1
        if self._order:
            grace = self._order.kill_grace if self._terminations == 1 else 0
            self._end(self._order, Reason.INTERRUPTED, grace)

    def _blame(self, by: signals.Received) -> None:
        """Remember who sent a signal while the daemon, which has a link, was there."""
        if not self._order or not self._link.open:
            return
        sender = procfs.process(by.sender)
        who = sender.name if sender else "which has ended"
        name = outcome.signal_name(by.number)
        self._blamed = f"its worker got {name} from process {by.sender}, {who}"
        self._tell(self._order.lease, [f"interrupts its job: {self._blamed}"])

    # Messages

    def _take_messages(self) -> None:
        try:
            if self._link.open:
                self._handle(self._link.receive())
        except ProtocolError as error:
            # Whoever is there is not to be trusted with results: as if it had died.
            self._tell(None, [f"leaves its daemon: {error}"])
            self._link.open = False
        if not self._link.open:
            self._poll.unregister(self._link.fd)

    def _handle(self, received: Sequence[messages.Message]) -> None:
        for message in received:
            match message:
                case messages.RunJob():
                    self._accept(message)
                case messages.End():
                    if self._order and self._order.lease == message.lease:
                        self._end(self._order, message.reason, message.grace)
                case messages.Ack():
                    self._acknowledged(message.lease)
                case messages.Stop():
                    self._leaving = True
                case _:
                    raise messages.WireError(
                        f"{type(message).__name__} is not for workers"
                    )

    def _acknowledged(self, lease: int) -> None:
        if self._result and self._result[0].lease == lease:
            outputs.discard(self._forget_result())
            self._write_record(self._identity)

    def _spare(self) -> _Spare:
        """The last result is committed: return its files that the next run may have."""
        if self._result is None or self._result[0].user is None:
            return self._forget_result()
        # Once given to an account they are never another's: any of its processes can
        # have them open, and no lease keeps out who only reads.
        outputs.discard(self._forget_result())
        return _NO_FILES

    def _forget_result(self) -> _Spare:
        """It is committed: return those of its files that are empty, and not needed."""
        result = self._result
        self._result = None
        if result is None:
            return _NO_FILES
        job, end = result
        where = (
            self._hello.output_dir,
            job.seq,
            job.run,
            job.lease,
        )
        stdout, stderr = outputs.paths(*where)
        return (
            stdout if end.stdout_bytes == 0 else None,
            stderr if end.stderr_bytes == 0 else None,
        )

    # A run

    def _accept(self, job: messages.RunJob) -> None:
        if self._order:
            raise messages.WireError("run came before the end of the run under way")
        spare = self._spare()
        if job.env is not None:
            self._env = job.env
        if self._leaving or self._terminations:
            outputs.discard(spare)
            return  # it will not start, and a run without output files never did
        self._order = job
        self._start(job, spare)

    def _start(self, job: messages.RunJob, spare: _Spare = _NO_FILES) -> None:
        where = self._hello.output_dir
        group = confine.group_of(job, self._hello)
        try:
            # First: a run that has output files has started.
            if group is not None:
                cgroup.create(group)
            files = outputs.create(where, job.seq, job.run, job.lease, spare)
        except OSError as error:
            outputs.discard(spare)
            if group is not None:
                cgroup.remove(group)
            self._wait_for_room(job, error)
            return
        self._retry_at = math.inf
        try:
            main = self._spawn(job, files, group)
        except spawn.SpawnError as error:
            files.close()
            if group is not None:
                cgroup.remove(group)
            self._write_record(self._occupied(job, None))
            end = outcome.not_spawned(job, str(error), self._clock.wall())
            self._report(job, end)
            return
        self._running = RunningJob(job, main, files, self._clock, group)
        self._write_record(self._occupied(job, main))

    def _spawn(
        self, job: messages.RunJob, files: outputs.OutputFiles, group: str | None
    ) -> ProcessId:
        env = spawn.environment(self._env, job, self._hello)
        if not confine.needed(job, group):
            return spawn.spawn(job, env, files, self._reset)
        with confine.confined(job, self._hello, group) as confinement:
            confine.hand_over(files, confinement)
            env = confine.environment(job, env)
            return spawn.spawn(job, env, files, self._reset, confinement)

    def _wait_for_room(self, job: messages.RunJob, error: OSError) -> None:
        if self._retry_at == math.inf:
            what = "the output files or the cgroup"
            why = f"cannot create {what} of job {job.id}: {error}"
            self._tell(job.lease, [f"{why}; trying again every second"])
        self._retry_at = self._clock.monotonic() + RETRY_INTERVAL

    def _end(self, job: messages.RunJob, reason: Reason, grace: float) -> None:
        if self._running:
            self._running.end(reason, grace)
        else:
            self._report(job, outcome.not_started(job, reason, self._clock.wall()))

    def _finish(self, running: RunningJob) -> None:
        self._running = None
        # What it left below this worker would be taken for the next job's.
        self._leaving = self._leaving or running.abandoned
        end = running.result(self._memory)
        if end.max_rss is not None:
            end = end._replace(max_rss=self._own_memory.own(end.max_rss))
        self._report(running.job, end)

    def _report(self, job: messages.RunJob, end: AttemptEnd) -> None:
        if end.reason is Reason.INTERRUPTED and self._blamed:
            said = (self._blamed, end.message)
            end = end._replace(message="; ".join(filter(None, said)))
        self._order = None
        self._retry_at = math.inf
        self._result = (job, end)
        self._link.send(messages.Finished(end))

    # Leaving

    def _leave(self) -> int:
        if self._result is None:
            self._record.remove()
            return 0
        # The record stays: it leads the next daemon to the result, or to its lack.
        return 0 if self._keep(*self._result) else 1

    def _keep(self, job: messages.RunJob, end: AttemptEnd) -> bool:
        """Spool a result, or put it behind the record, or wait for room.

        Nobody is waited for without end by a worker without a daemon: it stays only
        if there is no room in either place, and then until the next signal.
        """
        owner = self._hello
        result = spool.SpooledResult(owner.store, owner.worker, job.seq, job.run, end)
        said = False
        asked = self._terminations
        while True:
            try:
                spool.write(owner.spool_dir, result)
            except OSError as error:
                # With the directory gone, so is whoever could ask for a result.
                gone = isinstance(error, FileNotFoundError)
                if not gone and self._record.keep(spool.encode(result)):
                    return True
                if not said:
                    channel.write_to_stderr(
                        f"cannot keep the result of {job.id}: {error}"
                    )
                said = True
                if gone or self._terminations > asked:
                    return False
            else:
                return True
            self._wait_for_signals(RETRY_INTERVAL)

    def _wait_for_signals(self, seconds: float) -> None:
        poll = select.poll()
        poll.register(self._signals.fd, select.POLLIN)
        if poll.poll(seconds * 1000):
            self._take_signals()

    # What others read

    def _occupied(self, job: messages.RunJob, main: ProcessId | None) -> WorkerRecord:
        return self._identity._replace(
            lease=job.lease,
            seq=job.seq,
            run=job.run,
            job_pid=main.pid if main else None,
            job_ticks=main.ticks if main else None,
        )

    def _write_record(self, record: WorkerRecord) -> None:
        try:
            self._record.write(record)
        except OSError as error:
            self._tell(record.lease, [f"cannot write the record: {error}"])

    def _tell(self, lease: int | None, sentences: list[str]) -> None:
        for sentence in sentences:
            if self._link.open:
                self._link.send(messages.Trouble(lease, sentence))
            else:
                channel.write_to_stderr(sentence)
        sentences.clear()
