"""One worker at work: its loop, and its conversation with the daemon.

Owns the order of things around a job: output files before the spawn, the record after
it, the result until it is committed. One thread and one poll; an idle worker waits in
it without a timeout.
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
from queuectld.workers.shared import cgroup, messages, outputs, records
from queuectld.workers.shared.records import RecordFile, WorkerRecord
from queuectld.workers.worker_side import (
    confine,
    descendants,
    outcome,
    signals,
    spawn,
)
from queuectld.workers.worker_side.channel import Channel
from queuectld.workers.worker_side.results import (
    NO_SPARE,
    RETRY_INTERVAL,
    Spare,
    UncommittedResult,
)
from queuectld.workers.worker_side.running_job import RunningJob

_LONGEST_POLL = 86_400_000  # ms; poll(2) takes no more than an int


class Worker:
    """One worker, from the hello to its exit."""

    def __init__(
        self,
        hello: messages.Hello,
        channel: Channel,
        signal_file: signals.SignalFile,
        clock: Clock,
    ) -> None:
        if hello.descriptors is not None:
            rlimits.lower_descriptors(hello.descriptors)
        self._hello = hello
        self._channel = channel
        self._signals = signal_file
        self._clock = clock
        self._memory = procfs.MemoryWatch()
        self._own_memory = procfs.OwnMemory()
        self._reset = signals.ignored()
        self._poll = select.poll()
        # Ready files are reported in this order: what happened, then what is wanted.
        self._poll.register(signal_file.fd, select.POLLIN)
        self._poll.register(channel.fd, select.POLLIN)
        self._env: dict[str, str] = {}
        self._job: messages.RunJob | None = None
        self._running: RunningJob | None = None
        self._retry_at = math.inf  # when to start again a job that had no files
        self._leaving = False
        self._terminations = 0
        self._terminated_by: str | None = None
        self._identity = records.of_process(
            hello.store, hello.worker, os.getpid(), hello.started_at
        )
        self._record = RecordFile(hello.record)
        self._record.write(self._identity)
        self._record.reserve()
        self._result = UncommittedResult(hello, self._record)

    def run(self, received: Sequence[messages.Message]) -> int:
        """Serve until there is nothing left to do; return the exit status.

        Args:
            received: what came together with the hello.
        """
        self._channel.send(messages.Ready(os.getpid()))
        self._handle(received)
        while self._has_work():
            for fd, _ in self._poll.poll(self._wait_ms()):
                if fd == self._signals.fd:
                    self._take_signals()
                else:
                    self._take_messages()
            self._do_due()
        return self._leave()

    # -- what it waits for --------------------------------------------------------

    def _has_work(self) -> bool:
        if self._running:
            return True
        if not self._channel.open or self._terminations > 1:
            # A job that waits for its output files never started: nothing is lost.
            return False
        return bool(self._job or self._result.job or not self._leaving)

    def _wait_ms(self) -> int | None:
        """Return milliseconds until something is due; None: wait for ever."""
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
                for sentence in running.trouble:
                    self._channel.tell_operator(running.job.lease, sentence)
                running.trouble.clear()
            if running.over:
                self._finish(running)
        elif self._job and self._clock.monotonic() >= self._retry_at:
            self._start(self._job)

    # -- signals ------------------------------------------------------------------

    def _take_signals(self) -> None:
        child_ended = False
        for one in self._signals.read():
            if one.number == signals.CHILD_ENDED:
                child_ended = True
            else:
                self._terminated(one)
        # Reap last: until then, a sender that has ended can still be looked up.
        if child_ended:
            if self._running:
                self._running.child_ended()
            else:
                descendants.reap(None)

    def _terminated(self, by: signals.Received) -> None:
        if self._job and procfs.descends(by.sender, os.getpid()):
            # A job must not be able to interrupt, and so to repeat, itself for ever.
            name = outcome.signal_name(by.number)
            sentence = f"ignores {name}: its own job sent it"
            self._channel.tell_operator(self._job.lease, sentence)
            return
        self._note_sender(by)
        self._leaving = True
        self._terminations += 2 if by.number == signal.SIGQUIT else 1
        if self._job:
            grace = self._job.kill_grace if self._terminations == 1 else 0
            self._end(self._job, Reason.INTERRUPTED, grace)

    def _note_sender(self, by: signals.Received) -> None:
        """Remember who sent a signal. The daemon does not: it uses the channel."""
        if not self._job or not self._channel.open:
            return
        sender = procfs.process(by.sender)
        who = sender.name if sender else "which has ended"
        name = outcome.signal_name(by.number)
        cause = f"its worker got {name} from process {by.sender}, {who}"
        self._terminated_by = cause
        self._channel.tell_operator(self._job.lease, f"interrupts its job: {cause}")

    # -- messages -----------------------------------------------------------------

    def _take_messages(self) -> None:
        try:
            if self._channel.open:
                self._handle(self._channel.receive())
        except ProtocolError as error:
            # Results cannot be trusted to this peer: act as if the daemon had died.
            self._channel.tell_operator(None, f"leaves its daemon: {error}")
            self._channel.open = False
        if not self._channel.open:
            self._poll.unregister(self._channel.fd)

    def _handle(self, received: Sequence[messages.Message]) -> None:
        for message in received:
            match message:
                case messages.RunJob():
                    self._accept(message)
                case messages.End():
                    if self._job and self._job.lease == message.lease:
                        self._end(self._job, message.reason, message.grace)
                case messages.Ack():
                    held = self._result.job
                    if held and held.lease == message.lease:
                        self._result.acknowledge()
                        self._write_record(self._identity)
                case messages.Stop():
                    self._leaving = True
                case _:
                    raise messages.ChannelError(
                        f"{type(message).__name__} is not for workers"
                    )

    # -- a job --------------------------------------------------------------------

    def _accept(self, job: messages.RunJob) -> None:
        if self._job:
            raise messages.ChannelError("a job came before the end of the last one")
        spare = self._result.spare()
        if job.env is not None:
            self._env = job.env
        if self._leaving or self._terminations:
            outputs.discard(spare)
            return  # an attempt without output files never started
        self._job = job
        self._start(job, spare)

    def _start(self, job: messages.RunJob, spare: Spare = NO_SPARE) -> None:
        group = confine.group_of(job, self._hello)
        try:
            # The cgroup first: an attempt that has output files has started.
            if group is not None:
                cgroup.create(group)
            files = outputs.create(
                self._hello.output_dir, job.seq, job.run, job.lease, spare
            )
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
            self._report(job, outcome.not_spawned(job, str(error), self._clock.wall()))
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
            env = confine.with_account_variables(env, job)
            return spawn.spawn(job, env, files, self._reset, confinement)

    def _wait_for_room(self, job: messages.RunJob, error: OSError) -> None:
        if self._retry_at == math.inf:
            what = "the output files or the cgroup"
            why = f"cannot create {what} of job {job.id}: {error}"
            sentence = f"{why}; trying again every second"
            self._channel.tell_operator(job.lease, sentence)
        self._retry_at = self._clock.monotonic() + RETRY_INTERVAL

    def _end(self, job: messages.RunJob, reason: Reason, grace: float) -> None:
        if self._running:
            self._running.end(reason, grace)
        else:
            self._report(job, outcome.not_started(job, reason, self._clock.wall()))

    def _finish(self, running: RunningJob) -> None:
        self._running = None
        # Processes that it left below this worker would be taken for the next job's.
        self._leaving = self._leaving or running.abandoned
        self._report(running.job, running.result(self._memory, self._own_memory))

    def _report(self, job: messages.RunJob, end: AttemptEnd) -> None:
        if end.reason is Reason.INTERRUPTED and self._terminated_by:
            sentences = (self._terminated_by, end.message)
            end = end._replace(message="; ".join(filter(None, sentences)))
        self._job = None
        self._retry_at = math.inf
        self._result.hold(job, end)
        self._channel.send(messages.Finished(end))

    # -- the end, and the record --------------------------------------------------

    def _leave(self) -> int:
        if self._result.job is None:
            self._record.remove()
            return 0
        # The record stays: it leads the next daemon to the result, or to its absence.
        return 0 if self._result.keep(self._signals) else 1

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
            sentence = f"cannot write the record: {error}"
            self._channel.tell_operator(record.lease, sentence)
