"""A daemon in the hands of a test: it starts the real worker program and talks to it.

Every process that a worker starts carries the harness's own store id, so that the
test can say at its end that none is left.
"""

import os
import signal
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from helpers import waiting
from queuectl_protocol.vocabulary import Reason
from queuectld.core.job import AttemptEnd
from queuectld.linux import pidfd, procfs
from queuectld.workers.daemon_side.launch import launch
from queuectld.workers.shared import marker, messages, outputs, records, spool
from queuectld.workers.shared.records import WorkerRecord

ENV = {"PATH": "/usr/local/bin:/usr/bin:/bin"}

M = TypeVar("M", bound=messages.ToDaemon)


class WorkerHarness:
    """One worker process and the daemon's end of its channel.

    Attributes:
        store: a uuid of its own, the first half of every marker.
        troubles: what the worker wanted the operator to know.
    """

    def __init__(self, home: Path, number: int = 1) -> None:
        self.store = str(uuid.uuid4())
        self.home = home
        self.number = number
        for place in (self.output_dir, self.spool_dir):
            place.mkdir(mode=0o700, exist_ok=True)
        launched = launch(number)
        self.pid = launched.pid
        self.pidfd = launched.pidfd
        self.socket = launched.socket
        self.socket.settimeout(waiting.DEADLINE)
        self.troubles: list[messages.Trouble] = []
        self._decoder = messages.Decoder()
        self._inbox: list[messages.Message] = []
        self._status: int | None = None
        self._lease = 0

    @property
    def output_dir(self) -> Path:
        """Where output files go."""
        return self.home / "output"

    @property
    def spool_dir(self) -> Path:
        """Where results go that no daemon takes."""
        return self.home / "spool"

    @property
    def record_path(self) -> Path:
        """The worker's record."""
        return self.home / f"{self.number}.json"

    # Talking

    def hello(self, version: int = messages.VERSION) -> messages.Hello:
        """Return the hello of this worker."""
        return messages.Hello(
            worker=self.number,
            store=self.store,
            output_dir=str(self.output_dir),
            spool_dir=str(self.spool_dir),
            record=str(self.record_path),
            socket="/run/queuectl.sock",
            version=version,
        )

    def begin(self, **say: Any) -> "WorkerHarness":
        """Say hello and wait until the worker is ready."""
        self.send(self.hello()._replace(**say))
        assert self.receive(messages.Ready).pid == self.pid
        return self

    def send(self, *sent: messages.ToWorker) -> None:
        """Send messages in one write."""
        self.socket.sendall(b"".join(messages.encode(message) for message in sent))

    def job(self, command: str | tuple[str, ...], **fields: Any) -> messages.RunJob:
        """Return a job under a new lease; any field can be given."""
        self._lease += 1
        plain: dict[str, Any] = {
            "lease": self._lease,
            "seq": 1000 + self._lease,
            "run": 1,
            "id": f"job-{self._lease}",
            "cwd": None,
            "umask": None,
            "env": ENV,
            "timeout": 0,
            "kill_grace": 5.0,
            "output_limit": 0,
        }
        return messages.RunJob(command=command, **{**plain, **fields})

    def start(self, command: str | tuple[str, ...], **fields: Any) -> messages.RunJob:
        """Give the worker a job and wait until its process is there."""
        job = self.job(command, **fields)
        self.send(job)
        self.started(job)
        return job

    def start_waiting(self) -> messages.RunJob:
        """Start a job that exits with 5 when ``go_on`` is called."""
        job = self.start("echo up; read line < fifo; exit 5", cwd=self.fifo())
        self.says(job, "up")
        return job

    def go_on(self) -> None:
        """Let the job of ``start_waiting`` exit."""
        (self.home / "fifo").write_text("go on\n")

    def fifo(self) -> str:
        """Make a fifo that a job can wait for; return the directory it is in."""
        os.mkfifo(self.home / "fifo")
        return str(self.home)

    def started(self, job: messages.RunJob) -> WorkerRecord:
        """Wait until the job's process is there; return the record that names it."""

        def record() -> WorkerRecord | None:
            found = self.record()
            there = found and found.lease == job.lease and found.job_pid
            return found if there else None

        return waiting.until(record, "the record to name the job's process")

    def run(self, command: str | tuple[str, ...], **fields: Any) -> AttemptEnd:
        """Run a job to its end and acknowledge the result."""
        job = self.job(command, **fields)
        self.send(job)
        end = self.finished()
        assert end.lease == job.lease
        self.send(messages.Ack(job.lease))
        return end

    def finished(self) -> AttemptEnd:
        """Wait for the end of a job."""
        return self.receive(messages.Finished).end

    def receive(self, kind: type[M]) -> M:
        """Return the next message of a kind; others before it are dropped.

        Raises:
            AssertionError: none came in time, or the worker is gone.
        """
        while True:
            while not self._inbox:
                data = self.socket.recv(65_536)
                assert data, f"the worker is gone; no {kind.__name__} came"
                self._inbox += self._decoder.receive_data(data)
            message = self._inbox.pop(0)
            if isinstance(message, messages.Trouble):
                self.troubles.append(message)
            if isinstance(message, kind):
                return message

    def vanish(self) -> None:
        """Close the channel, as a daemon that was killed."""
        self.socket.close()

    # Looking

    def output(self, job: messages.RunJob, stream: str = "stdout") -> str:
        """Return what a job wrote."""
        where = str(self.output_dir)
        name = outputs.path(where, job.seq, job.run, job.lease, outputs.Stream(stream))
        return Path(name).read_text()

    def output_of(self, command: str | tuple[str, ...], **fields: Any) -> str:
        """Run a command that succeeds and return its stdout."""
        job = self.job(command, **fields)
        self.send(job)
        end = self.finished()
        assert (end.reason, end.exit_code) == (Reason.EXIT, 0), end
        text = self.output(job)
        self.send(messages.Ack(job.lease))
        return text

    def says(self, job: messages.RunJob, text: str) -> None:
        """Wait until a job has written ``text`` to its stdout."""
        waiting.until(lambda: text in self.output(job), f"{text!r} in the output")

    def record(self) -> WorkerRecord | None:
        """Return the worker's record."""
        return records.read(str(self.record_path))

    def spooled(self, lease: int) -> AttemptEnd | None:
        """Return the result that the worker left for that lease."""
        kept = spool.read(str(self.spool_dir), lease)
        return kept.end if kept else None

    def processes(self) -> list[procfs.Process]:
        """Return the living processes of this harness's jobs, however they hid."""
        marked = f"{marker.NAME}={self.store}:".encode()
        table = procfs.scan()
        found = {p.pid: p for p in table.values() if marked in _environ(p.pid)}
        for seed in [self.pid, *found]:
            found |= {p.pid: p for p in procfs.descendants(seed, table)}
        return [entry for entry in found.values() if entry.alive]

    def zombies(self) -> list[procfs.Process]:
        """Return the children that the worker has not reaped."""
        below = procfs.descendants(self.pid, procfs.scan())
        return [entry for entry in below if not entry.alive]

    # Ending

    def signal(self, number: int) -> None:
        """Send the worker a signal."""
        signal.pidfd_send_signal(self.pidfd, number)

    def exit_status(self, within: float = waiting.DEADLINE) -> int:
        """Wait for the worker's exit; return its code, or minus its signal."""
        if self._status is None:
            ended = pidfd.ended(self.pidfd, within=within)
            assert ended, f"the worker is still there in {within}s"
            _, status = os.waitpid(self.pid, 0)
            self._status = os.waitstatus_to_exitcode(status)
        return self._status

    def close(self) -> list[procfs.Process]:
        """Kill everything; return the processes that were left, without the worker."""
        self.socket.close()
        left = self.processes()
        if self._status is None:
            if not left:
                self.exit_status()
            else:
                self.signal(signal.SIGKILL)
        for entry in left:
            pidfd.send(entry.id, signal.SIGKILL)
        self.exit_status()
        os.close(self.pidfd)
        return left


@contextmanager
def worker(home: Path, **say: Any) -> Iterator[WorkerHarness]:
    """Yield a worker that is ready; assert at the end that no process of it is left."""
    harness = WorkerHarness(home)
    try:
        yield harness.begin(**say)
    except BaseException:
        harness.close()
        raise
    left = harness.close()
    assert not left, f"processes are left: {left}"


def _environ(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""
