"""The system's queue in a box, with its users, from outside."""

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from helpers.systemdbox import Box, Done
from helpers.systemdbox_installed import (
    CONFIG,
    HANGING_PROGRAM,
    MEMBER,
    SERVICE,
    SOCKET,
    VENV,
)
from helpers.waiting import until

LISTENS = "/run/queuectl/queuectl.sock"
GATES = "/srv/gates"
_DROP_INS = "/etc/systemd/system/queuectld.service.d"
_PRISTINE = f"{CONFIG}.pristine"
_RESET = f"""
systemctl kill --signal=SIGKILL {SERVICE} 2>/dev/null
systemctl log-level info
systemctl disable --quiet {SOCKET} {SERVICE}
systemctl stop {SOCKET} {SERVICE}
rm -rf {_DROP_INS} {GATES} /var/lib/queuectl /run/queuectl /run/queuectld
cp --archive {_PRISTINE} {CONFIG}
systemctl daemon-reload
systemctl reset-failed
"""


@dataclass(frozen=True, slots=True)
class Service:
    """The system's queue in a box.

    Attributes:
        box: the systemd that it runs under.
        since: where the journal ended when the test began.
    """

    box: Box
    since: str
    _gates: list["Gate"] = field(default_factory=list)

    def queuectl(self, *arguments: str, user: str = MEMBER) -> Done:
        """Type a command, as somebody who knows where the system's queue is."""
        return self.box.run("queuectl", *arguments, user=user, QUEUECTL_SOCKET=LISTENS)

    def ok(self, *arguments: str, user: str = MEMBER) -> str:
        """Type a command that succeeds; return its stdout without the last newline."""
        done = self.queuectl(*arguments, user=user)
        assert done.code == 0, done
        return done.out.removesuffix("\n")

    def refused(self, *arguments: str, user: str = MEMBER) -> str:
        """Type a command that is refused with one line; return what that says."""
        done = self.queuectl(*arguments, user=user)
        assert done == (1, "", done.err)
        assert done.err.count("\n") == 1
        return done.err.removeprefix("queuectl: ").removesuffix("\n")

    def show(self, job: str) -> dict[str, Any]:
        """Return a job."""
        found: dict[str, Any] = json.loads(self.ok("show", job, "--json"))["job"]
        return found

    def counts(self) -> dict[str, int]:
        """Return how many jobs are in each state."""
        counted: dict[str, int] = json.loads(self.ok("status", "--json"))
        return counted

    def attempts(self, job: str) -> list[tuple[str, int | None]]:
        """Return reason and exit code of each attempt of a job."""
        shown = json.loads(self.ok("show", job, "--json"))
        return [(each["reason"], each["exit_code"]) for each in shown["attempts"]]

    def start(self, workers: int = 0) -> int:
        """Start the service, and workers; return the daemon's pid."""
        self.box.systemctl("start", SERVICE)
        if workers:
            self.ok("worker", "start", "--count", str(workers))
        return self.main_pid

    def restart(self) -> None:
        """Restart the service as an administrator does."""
        self.box.systemctl("restart", SERVICE)

    def kill(self) -> None:
        """Kill the daemon; return when systemd has started the next one."""
        self.box.systemctl("kill", "--signal=KILL", "--kill-whom=main", SERVICE)
        until(lambda: self.box.show(SERVICE, "NRestarts") == "1", "it is restarted")
        until(lambda: self.state == "active", "the next daemon is ready")

    @property
    def main_pid(self) -> int:
        """The pid of the daemon, 0 when there is none."""
        return int(self.box.show(SERVICE, "MainPID"))

    @property
    def state(self) -> str:
        """What systemd thinks of the service."""
        return self.box.show(SERVICE, "ActiveState")

    def journal(self, *options: str) -> str:
        """Return what the journal has of the service since the test began."""
        return self.box.journal(SERVICE, *options, since=self.since)

    def configure(self, text: str) -> None:
        """Add lines to the configuration; they come before those that are there."""
        file = self.box.file(CONFIG)
        file.write_text(f"{text}\n{file.read_text()}")

    def drop_in(self, text: str) -> None:
        """Change the service as ``systemctl edit`` does."""
        folder = self.box.file(_DROP_INS)
        folder.mkdir(exist_ok=True)
        (folder / "override.conf").write_text(text)
        self.box.systemctl("daemon-reload")

    def prepare_to_hang(self, text: str, thread: str = "MainThread") -> None:
        """Change the service, and have ``hang`` work once it is started.

        Args:
            text: lines for the service.
            thread: what will hang; by default the event loop.
        """
        program = f"{VENV}/bin/python {HANGING_PROGRAM} --config {CONFIG}"
        lines = f"{text}\nEnvironment=HANG={thread}\nExecStart=\nExecStart={program}\n"
        self.drop_in(f"[Service]\n{lines}")

    def hang(self) -> None:
        """Have that thread of the daemon hang."""
        self.box.systemctl("kill", "--signal=USR2", "--kill-whom=main", SERVICE)

    def gate(self, name: str) -> "Gate":
        """Make something that a program in the box can wait for."""
        path = f"{GATES}/{name}"
        self.box.ok("mkfifo", "--mode=666", path)
        return self.gate_again(name)

    def gate_again(self, name: str) -> "Gate":
        """Return one that was made before the box was booted."""
        path = f"{GATES}/{name}"
        self._gates.append(gate := Gate(path, self.box.file(path)))
        return gate

    def waiting_job(self, name: str, *options: str, first: str = "") -> "Gate":
        """Enqueue a job that waits at a gate; return when it does.

        Args:
            name: its id, and the gate's name.
            options: of ``enqueue``; without any it is not retried.
            first: what its shell does before.
        """
        gate = self.gated_job(name, *options, first=first)
        gate.reached()
        return gate

    def gated_job(self, name: str, *options: str, first: str = "") -> "Gate":
        """Enqueue the same, and do not wait for it."""
        gate = self.gate(name)
        command = f"{first}read line <{gate.path}; exit $line"
        options = options or ("--max-retries", "0")
        self.ok("enqueue", "--id", name, *options, command)
        return gate

    def close(self) -> None:
        """Let go of all gates."""
        for gate in self._gates:
            gate.close()


@dataclass(slots=True)
class Gate:
    """Where a program waits until the test lets it go on: a FIFO that it reads.

    Attributes:
        path: of the FIFO in the box.
    """

    path: str
    _outside: Path
    _handle: int = -1

    def reached(self) -> None:
        """Wait until a program waits here."""
        self._handle = until(self._open, f"somebody waits at {self.path}") - 1

    def open(self, line: str = "0") -> None:
        """Let it go on, with a line to read."""
        os.write(self._handle, f"{line}\n".encode())
        self.close()

    def close(self) -> None:
        """Have it read the end of the file instead, unless it went on long ago."""
        if self._handle >= 0:
            os.close(self._handle)
        self._handle = -1

    def _open(self) -> int:
        try:
            return 1 + os.open(self._outside, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:  # nobody reads it yet
                raise
            return 0


@contextmanager
def a_service(box: Box) -> Iterator[Service]:
    """Give the service, installed and not running; leave it so again."""
    box.ok("cp", "--archive", "--no-clobber", CONFIG, _PRISTINE)
    box.ok("mkdir", GATES)
    made = Service(box, box.mark())
    try:
        yield made
    finally:
        box.ok("sh", "-c", _RESET)
        made.close()
