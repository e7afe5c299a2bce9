"""A QUEUECTL_HOME in which daemons, workers, jobs and clients come and go.

For tests of the real binaries under real signals. Where ``helpers.daemon`` has one
daemon that a test starts, here any command may start one, and any may be killed.
"""

import json
import os
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from helpers import waiting
from helpers.rawclient import PATIENCE, RawClient

BIN = Path(sys.executable).parent
"""Where the commands are installed that are tested here."""

ALONE = "exec 9>>lock; flock -n 9 || { echo overlap >>overlaps; exit 99; }; "
"""Begins a job: whatever it starts holds the lock, so an attempt that begins while
anything of an earlier one is left will say so."""

Command = tuple[str, ...]
Map = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Seen:
    """A process of the home."""

    pid: int
    command: str


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


class Home:
    """One QUEUECTL_HOME.

    Every process that is started in it, however indirectly, has the path of the home
    in its command line or in the environment it was started with: in PATH, which
    workers get as well. So a test can tell what is left.

    Attributes:
        root: what QUEUECTL_HOME says.
        work: the current directory of every command, and so of every job.
        socket: where its daemon answers.
        environ: the variables of every command.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.work = root / "work"
        self.work.mkdir()
        self.socket = root / "queuectl.sock"
        inherited = {k: v for k, v in os.environ.items() if k in {"HOME", "LANG"}}
        self.environ = {
            **inherited,
            "PATH": f"{BIN}:{os.environ['PATH']}:{root}",
            "QUEUECTL_HOME": str(root),
        }
        self._children: list[subprocess.Popen[str]] = []
        self._gates: list[Gate] = []

    # Commands

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
        done = self.run(*arguments, text=text, **variables)
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
        self._children.append(child)
        return child

    def serve(self, *flags: str, **variables: str) -> subprocess.Popen[str]:
        """Start a daemon in the foreground; return it when it answers."""
        daemon = self.begin(*flags, program="queuectld", **variables)
        waiting.until(
            lambda: self.answers() or daemon.poll() is not None, "the daemon answers"
        )
        assert daemon.poll() is None, self.log()
        return daemon

    def enqueue(self, command: str | list[str], **fields: Any) -> str:
        """Enqueue a job, by the command, with any field of its JSON form."""
        return self.ctl("enqueue", json.dumps({"command": command, **fields}))

    def configure(self, **settings: str) -> None:
        """Set job settings."""
        for key, value in settings.items():
            self.ask("config.set", key=key, value=value)

    # Asking, without starting anything

    def connect(self) -> RawClient:
        """Connect to the daemon that runs."""
        return RawClient(self.socket)

    def ask(self, method: str, **params: Any) -> Any:
        """Ask the daemon that runs."""
        with self.connect() as client:
            return client.call(method, **params)

    def answers(self) -> bool:
        """Whether a daemon answers."""
        try:
            self.ask("ping")
        except (OSError, EOFError):
            return False
        return True

    def job(self, job_id: str) -> Map:
        """Return a job as it is now."""
        found: Map = self.ask("get", id=job_id)["job"]
        return found

    def attempts(self, job_id: str) -> list[Map]:
        """Return its attempts, oldest first."""
        found: list[Map] = self.ask("get", id=job_id)["attempts"]
        return found

    def reasons(self, job_id: str) -> list[str | None]:
        """Return why its attempts ended; None for one that runs."""
        return [attempt["reason"] for attempt in self.attempts(job_id)]

    def ended(self, job_id: str) -> Map:
        """Wait until a job is completed, dead or cancelled; return it."""
        reply = self.ask("wait", id=job_id, timeout=PATIENCE)
        assert not reply["timed_out"], reply["job"]
        found: Map = reply["job"]
        return found

    def until_state(self, job_id: str, state: str) -> Map:
        """Wait until a job is in a state that it leaves by itself."""
        return waiting.until(
            lambda: (job := self.job(job_id))["state"] == state and job,
            f"job {job_id} is {state}",
        )

    def output(self, job_id: str, run: int | None = None) -> str:
        """Return what an attempt, the last unless told, wrote to stdout."""
        params = {} if run is None else {"run": run}
        found = self.ask("logs.read", id=job_id, stream="stdout", **params)
        data: bytes = found["data"]
        return data.decode()

    def workers(self) -> list[Map]:
        """Return the workers that the daemon knows."""
        found: list[Map] = self.ask("workers.list")["workers"]
        return found

    def worker_of(self, job_id: str) -> Map:
        """Return the worker that runs a job."""
        (found,) = [each for each in self.workers() if each["job"] == job_id]
        return found

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

    # The work of jobs

    def gate(self, name: str = "gate") -> Gate:
        """Make something for jobs to wait at."""
        gate = Gate(self.work / name)
        self._gates.append(gate)
        return gate

    def appears(self, name: str) -> str:
        """Wait until a job has made a file and written a line; return its text."""
        file = self.work / name
        return waiting.until(
            lambda: (
                file.exists() and (text := file.read_text()).endswith("\n") and text
            ),
            f"{name} appears",
        )

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
        return [seen for pid in _pids() if (seen := self._seen(pid))]

    def children(self, pid: int) -> list[int]:
        """Return the children of a process, those included that it has to reap."""
        tasks = list(Path(f"/proc/{pid}/task").glob("*"))
        found = b" ".join(_read(pid, f"task/{task.name}/children") for task in tasks)
        return [int(child) for child in found.split()]

    def below(self, pid: int) -> list[str]:
        """Return the commands of all that runs below a process."""
        table = {each: self.children(each) for each in _pids()}
        found = [pid]
        for each in found:
            found += table.get(each, [])
        commands = [_read(each, "cmdline") for each in found[1:]]
        return [command.replace(b"\0", b" ").decode() for command in commands if command]

    def has_open(self, pid: int, file: Path) -> bool:
        """Whether a process has a file open at this moment."""
        try:
            links = list(Path(f"/proc/{pid}/fd").iterdir())
            return any(os.readlink(link) == str(file) for link in links)
        except OSError:
            return False

    def gone(self) -> bool:
        """Whether no process is left."""
        return not self.processes()

    def send(self, pid: int, number: int) -> None:
        """Signal a process of this home."""
        assert self._seen(pid), f"process {pid} is none of this home"
        os.kill(pid, number)

    def kill(self, *pids: int, number: int = signal.SIGKILL) -> None:
        """Signal processes in this order; then wait for their ends."""
        handles = [os.pidfd_open(pid) for pid in pids]
        for pid in pids:
            self.send(pid, number)
        for pid, handle in zip(pids, handles, strict=True):
            _await_end(pid, handle)

    def stop(self) -> None:
        """Stop the daemon, whatever it does, and see that nothing is left."""
        if self.answers():
            handle = os.pidfd_open(self.daemon)
            self.ask("daemon.stop", now=True)
            _await_end(self.daemon, handle)
        self.assert_nothing_left()

    def assert_nothing_left(self) -> None:
        """No process, socket, worker's record or spooled result; no job stuck."""
        for child in self._children:
            if child.poll() is not None:
                child.wait()
        assert self.processes() == []
        assert not self.socket.exists()
        for folder in ("workers", "spool"):
            assert list((self.root / folder).glob("*")) == []
        if (self.root / "queuectl.db").exists():
            sql = "SELECT count(*) FROM jobs WHERE state = 'processing'"
            assert self.edit(sql) == 0

    def clean_up(self) -> None:
        """Kill what a failed test has left, and close files."""
        for gate in self._gates:
            gate.close()
        while left := self.processes():
            for seen in left:
                _try_kill(seen.pid)
        for child in self._children:
            child.wait()
            if child.stdout is not None:
                child.stdout.close()

    def _seen(self, pid: int) -> Seen | None:
        command, environ = _read(pid, "cmdline"), _read(pid, "environ")
        if os.fsencode(self.root) not in command + environ:
            return None
        return Seen(pid, command.replace(b"\0", b" ").decode(errors="replace"))


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


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""  # it has ended; a zombie has no memory to read from either


def _await_end(pid: int, handle: int) -> None:
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    ended = poll.poll(PATIENCE * 1000)
    os.close(handle)
    assert ended, f"process {pid} is still there"


def _try_kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
