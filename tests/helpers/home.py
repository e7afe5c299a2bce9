"""A QUEUECTL_HOME in which daemons, workers, jobs and clients come and go.

For tests of the real binaries under real signals. Where ``helpers.daemon`` has one
daemon that a test starts, here any command may start one, and any may be killed.
"""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from helpers import processes, waiting
from helpers.asking import Asking
from helpers.processes import Seen
from helpers.rawclient import PATIENCE

BIN = Path(sys.executable).parent
"""Where the commands are installed that are tested here."""

ALONE = "exec 9>>lock; flock -n 9 || { echo overlap >>overlaps; exit 99; }; "
"""Begins a job: whatever it starts holds the lock, so an attempt that begins while
anything of an earlier one is left will say so."""


class Gate:
    """What a job waits at until the test lets it go on: ``read _ <gate``."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def open(self, times: int = 1) -> None:
        """Let so many waiting jobs go on, those included that are yet to come."""
        os.write(self._fd, b"\n" * times)

    def close(self) -> None:
        """Give the file back."""
        os.close(self._fd)


class Home(Asking):
    """One QUEUECTL_HOME.

    Every process that is started in it, however indirectly, has the path of the home
    in its command line or in the environment it was started with: in PATH, which
    workers get as well. So a test can tell what is left.

    Attributes:
        root: what QUEUECTL_HOME says.
        work: the current directory of every command, and so of every job.
        environ: the variables of every command.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root / "queuectl.sock")
        self.root = root
        self.work = root / "work"
        self.work.mkdir()
        inherited = {k: v for k, v in os.environ.items() if k in {"HOME", "LANG"}}
        self.environ = {
            **inherited,
            "PATH": f"{BIN}:{os.environ['PATH']}:{root}",
            "QUEUECTL_HOME": str(root),
        }
        self._children: list[subprocess.Popen[str]] = []
        self._gates: list[Gate] = []

    # Commands and daemons

    def run(
        self,
        *arguments: str,
        program: str = "queuectl",
        text: str | None = None,
        cwd: Path | None = None,
        umask: int = -1,
        **variables: str,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [BIN / program, *arguments],  # an absolute path stays one
            umask=umask,
            cwd=cwd or self.work,
            env=self.environ | variables,
            input=text or "",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def ctl(self, *arguments: str, text: str | None = None, **variables: str) -> str:
        """Run a queuectl command that succeeds; return what it printed."""
        done = self.run(*arguments, text=text, cwd=None, umask=-1, **variables)
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return done.stdout.strip()

    def begin(
        self, *arguments: str, program: str = "queuectl", **variables: str
    ) -> subprocess.Popen[str]:
        """Start a command that stays. Its output is in a pipe, its errors in a file."""
        with (self.root / f"{program}.stderr").open("a") as errors:
            child = subprocess.Popen(
                [BIN / program, *arguments],
                cwd=self.work,
                env=self.environ | variables,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self.adopt(child)
        return child

    def adopt(self, child: subprocess.Popen[str]) -> None:
        """See to the end of a process that was started in this home."""
        self._children.append(child)

    def serve(self, *flags: str, **variables: str) -> subprocess.Popen[str]:
        """Start a daemon in the foreground; return it when it answers."""
        daemon = self.begin(*flags, program="queuectld", **variables)
        self.await_answer(daemon)
        return daemon

    def await_answer(self, daemon: subprocess.Popen[str]) -> None:
        """Return when a daemon that was just started answers."""
        waiting.until(
            lambda: self.answers() or daemon.poll() is not None, "the daemon answers"
        )
        assert daemon.poll() is None, self.log()

    def enqueue(self, command: str | list[str], **fields: Any) -> str:
        """Enqueue a job as the command would, but a tenth of a second faster."""
        lent = {"cwd": str(self.work), "umask": "0022", "env": self.environ}
        reply = self.ask("enqueue", job={**lent, "command": command, **fields})
        job_id: str = reply["job"]["id"]
        return job_id

    def log(self) -> str:
        """Return what daemons have logged, those in the background last."""
        files = (self.root / "queuectld.stderr", self.root / "queuectld.log")
        return "".join(file.read_text() for file in files if file.exists())

    def edit(self, sql: str, *values: Any) -> Any:
        """Change or read the database of a daemon that is gone; return the first value.

        For states that a daemon cannot be brought into in the time a test has.
        """
        with closing(sqlite3.connect(self.root / "queuectl.db")) as database, database:
            row = database.execute(sql, values).fetchone()
        return row and row[0]

    def now(self) -> int:
        """Return the time as the database has it: milliseconds since 1970."""
        return time.time_ns() // 1_000_000

    def forget_remarks(self) -> None:
        """Have said again what is not said twice in a minute."""
        for stamp in self.root.glob("told-*"):
            stamp.unlink()

    # The work of jobs

    def gate(self, name: str = "gate") -> Gate:
        """Make something for jobs to wait at."""
        gate = Gate(self.work / name)
        self._gates.append(gate)
        return gate

    def appears(self, name: str) -> str:
        """Wait until a job has made a file and written a line; return its text."""
        file = self.work / name

        def text() -> str:
            found = file.read_text() if file.exists() else ""
            return found if found.endswith("\n") else ""

        return waiting.until(text, f"{name} appears")

    def overlapped(self) -> bool:
        """Whether a job that began with ``ALONE`` was not alone."""
        return (self.work / "overlaps").exists()

    # Processes

    @property
    def daemon(self) -> int:
        """The pid of the daemon that runs, or ran last."""
        return int((self.root / "lock").read_text())

    def processes(self) -> list[Seen]:
        """Return the living processes that belong to this home."""
        return processes.marked(str(self.root))

    def gone(self) -> bool:
        """Whether no process is left."""
        return not self.processes()

    def send(self, pid: int, number: int) -> None:
        """Signal a process of this home, if it is still there."""
        with suppress(ProcessLookupError):
            handle = self._open(pid)
            try:
                signal.pidfd_send_signal(handle, number)
            finally:
                os.close(handle)

    def kill(self, *pids: int, number: int = signal.SIGKILL) -> None:
        """Signal processes, in this order and at once; wait for their ends.

        Some may end by themselves, as workers do once their daemon is gone.
        """
        handles: dict[int, int] = {}
        for pid in pids:
            with suppress(ProcessLookupError):
                handles[pid] = self._open(pid)
        for handle in handles.values():
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, number)
        for pid, handle in handles.items():
            processes.await_end(pid, handle, PATIENCE)

    def stop(self) -> None:
        """Stop the daemon, whatever it does, and see that nothing is left."""
        if self.answers():
            handle = os.pidfd_open(self.daemon)
            self.ask("daemon.stop", now=True)
            processes.await_end(self.daemon, handle, PATIENCE)
        self.assert_nothing_left()

    def assert_nothing_left(self) -> None:
        """No process, socket, worker's record or spooled result; no job stuck."""
        assert self.processes() == []
        assert not self.socket.exists()
        for folder in ("workers", "spool"):
            left = [file.read_text() for file in (self.root / folder).glob("*")]
            assert left == [], f"{folder}: {left}"
        if (self.root / "queuectl.db").exists():
            sql = "SELECT count(*) FROM jobs WHERE state = 'processing'"
            assert self.edit(sql) == 0

    def clean_up(self) -> None:
        """Kill what a failed test has left, and close files."""
        for gate in self._gates:
            gate.close()
        while left := self.processes():
            for seen in left:
                processes.kill(seen)
        for child in self._children:
            child.wait()
            if child.stdout is not None:
                child.stdout.close()

    def _open(self, pid: int) -> int:
        """Return a pidfd of a process of this home, never of another's.

        Raises:
            ProcessLookupError: it has ended.
        """
        handle = os.pidfd_open(pid)
        if processes.find(pid, str(self.root)):
            return handle
        os.close(handle)
        raise ProcessLookupError(pid)


@contextmanager
def a_home() -> Iterator[Home]:
    """Make a home; at the end stop what runs in it, and see that nothing is left."""
    # Not pytest's directory: its path is too long for a socket.
    root = Path(tempfile.mkdtemp(prefix="queuectl-"))
    home = Home(root)
    try:
        yield home
        home.stop()
    finally:
        home.clean_up()
        shutil.rmtree(root)


def seconds(start: str, end: str) -> float:
    """Return the seconds between two times of the wire."""
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
