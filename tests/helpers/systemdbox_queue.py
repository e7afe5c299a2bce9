"""queuectl as the guide to systemd has it installed, in a box, with its users."""

import errno
import importlib.metadata
import json
import os
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from helpers.systemdbox import Box, Boxing, Done, Layer, a_box
from helpers.waiting import until

CHECKOUT = Path(__file__).parents[2]
UNITS = CHECKOUT / "systemd"
PACKAGES = ("queuectl", "queuectld", "protocol/queuectl_protocol")
DEPENDENCIES = ("click", "msgpack", "psutil")

SERVICE = "queuectld.service"
SOCKET = "queuectld.socket"
JOBS = "queuectld-jobs.service"
BACKUP = ("queuectl-backup.service", "queuectl-backup.timer")
LISTENS = "/run/queuectl/queuectl.sock"
CONFIG = "/etc/queuectl/queuectld.toml"
GATES = "/srv/gates"

MEMBER = "alice"
"""Somebody in the group queuectl."""
STRANGER = "bob"
"""Somebody with an account, and nothing else."""

_VENV = "/opt/queuectl"
_PYTHON = "/opt/python"
_DROP_INS = "/etc/systemd/system/queuectld.service.d"
_HANGING_PROGRAM = f"{_VENV}/hanging.py"
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
_SCRIPT = """#!{python}
import sys
from {package}.__main__ import main
sys.exit(main())
"""


HANGING = """
import ctypes
import os
import signal
import sys
import threading

from queuectld.__main__ import main

SOMEWHERE = signal.SIGRTMAX
WHICH = os.environ.pop("HANG", "MainThread")


def hang(number, frame):
    if WHICH == "MainThread":
        while True:
            signal.pause()
    for thread in threading.enumerate():
        if thread.name == WHICH:
            signal.pthread_kill(thread.ident, SOMEWHERE)


libc = ctypes.CDLL(None)
libc.signal.argtypes = [ctypes.c_int, ctypes.c_void_p]
libc.signal(SOMEWHERE, ctypes.cast(libc.pause, ctypes.c_void_p))
signal.signal(signal.SIGUSR2, hang)
sys.exit(main())
"""
"""The daemon, of which a thread does nothing any more after a SIGUSR2.

The main thread then heeds no signal either. Another is sent into pause(2) by a handler
that is no Python's: it is taken out of whatever it does or waits for, in the kernel.
"""


@contextmanager
def a_machine() -> Iterator[Box]:
    """Boot a box in which queuectl is installed, for the system and for alice."""
    with an_installation() as boxing:
        box = boxing.boot()
        admit(box)
        yield box


@contextmanager
def a_computer_with_programs(*versions: str) -> Iterator[Box]:
    """Boot a box in which some versions of the program lie, and nothing is set up.

    Each is in ``/opt/queuectl/VERSION``, as the guide has pip put it there.
    """
    with _a_box_with_python() as (boxing, base):
        for version in versions:
            _install_program(boxing.layer, base, f"{_VENV}/{version}")
        yield boxing.boot()


@contextmanager
def an_installation() -> Iterator[Boxing]:
    """Make a box with queuectl in it, to be booted; ``admit`` is for its first boot."""
    with _a_box_with_python() as (boxing, base):
        install_command(boxing.layer, base)
        _install_units(boxing.layer)
        yield boxing


@contextmanager
def _a_box_with_python() -> Iterator[tuple[Boxing, str]]:
    base = sys.base_prefix
    # A Python of one's own may be where a service's user cannot look, or on a mount of
    # its own, which the copy of / does not have.
    borrowed = base != "/usr"
    with a_box(*([(base, _PYTHON)] if borrowed else [])) as boxing:
        yield boxing, _PYTHON if borrowed else base


def admit(box: Box) -> None:
    """Make the service's user, a member of its group, and a stranger to it."""
    box.ok("systemd-sysusers")
    box.ok("useradd", "--create-home", "--groups=queuectl", MEMBER)
    box.ok("useradd", "--create-home", STRANGER)


def install_command(layer: Layer, base: str) -> None:
    """Install one version, in the path of everybody, and the one that hangs."""
    _install_program(layer, base, _VENV)
    for package in ("queuectl", "queuectld"):
        layer.link(f"/usr/local/bin/{package}", f"{_VENV}/bin/{package}")
    layer.write(_HANGING_PROGRAM, HANGING)


def _install_program(layer: Layer, base: str, venv: str) -> None:
    """Install what is in this checkout, as pip would, into a venv that all can use."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    layer.write(f"{venv}/pyvenv.cfg", f"home = {base}/bin\n")
    layer.link(f"{venv}/bin/python", f"{base}/bin/{name}")
    site = f"{venv}/lib/{name}/site-packages"
    for package in PACKAGES:
        layer.copy(CHECKOUT / package, f"{site}/{Path(package).name}")
    for dependency in DEPENDENCIES:
        for top, source in _installed(dependency):
            layer.copy(source, f"{site}/{top}")
    for package in ("queuectl", "queuectld"):
        program = f"{venv}/bin/{package}"
        text = _SCRIPT.format(python=f"{venv}/bin/python", package=package)
        layer.write(program, text, 0o755)
    # As the wheel has them: for ``queuectl systemd install``.
    layer.copy(UNITS, f"{site}/queuectl/systemd")
    if base == _PYTHON and sysconfig.get_config_var("Py_ENABLE_SHARED"):
        _link_library(layer)


def _link_library(layer: Layer) -> None:
    """Put Python's library where the loader looks.

    It knows the library by the path outside: the loader looks here next, where the
    machine's own Python may have one by the same name.
    """
    library = sysconfig.get_config_var("INSTSONAME")
    folder = Path("/usr/lib", sysconfig.get_config_var("MULTIARCH") or "")
    if not (layer.root / str(folder / library).lstrip("/")).is_symlink():
        layer.link(f"{folder}/{library}", f"{_PYTHON}/lib/{library}")


def _installed(distribution: str) -> Iterator[tuple[str, Path]]:
    """Yield what a distribution has in site-packages: names, and where they are."""
    files = importlib.metadata.files(distribution) or []
    for top in sorted({file.parts[0] for file in files} - {"..", "__pycache__"}):
        yield top, Path(str(files[0].locate())).parents[len(files[0].parts) - 1] / top


def _install_units(layer: Layer) -> None:
    for unit in (JOBS, SERVICE, SOCKET, *BACKUP):
        layer.copy(UNITS / unit, f"/etc/systemd/system/{unit}")
        layer.copy(UNITS / "user" / unit, f"/etc/skel/.config/systemd/user/{unit}")
    layer.copy(UNITS / "sysusers.d/queuectl.conf", "/etc/sysusers.d/queuectl.conf")
    options = (UNITS / "queuectld.toml").read_text()
    layer.write(CONFIG, f'{options}\n[roles]\noperate = ["@queuectl"]\n')
    for program in ("queuectl", "queuectld"):
        layer.link(f"/etc/skel/.local/bin/{program}", f"{_VENV}/bin/{program}")


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
        program = f"{_VENV}/bin/python {_HANGING_PROGRAM} --config {CONFIG}"
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
