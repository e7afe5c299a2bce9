"""A real systemd in a box: PID 1 of its own namespaces, over a copy of / thrown away.

The box has all that the machine has, and nothing that is done in it reaches the
machine. ``systemdbox.sh`` makes it and takes it down with everything in it, also when
the process of the test is killed. It can be switched off and booted again. It is root
that can make one, on Linux with overlays and cgroup v2; where it cannot be made
``hindrance`` says why.
"""

import functools
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from helpers.processes import await_end

SCRIPT = Path(__file__).with_suffix(".sh")
SYSTEMD = Path("/lib/systemd/systemd")
TOOLS = ("bash", "mount", "nsenter", "pivot_root", "setpriv", "systemctl", "unshare")

PATIENCE = 30.0
"""Seconds after which a command in the box is taken to hang."""

_NAMESPACES = ("mount", "uts", "ipc", "net", "pid", "cgroup")
_ENVIRON = {
    "PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "SYSTEMD_PAGER": "",
    "SYSTEMD_COLORS": "0",
}
_OVERLAY = """
set -e
mount --make-rprivate /
mount -t tmpfs box "$1"
cd "$1"
mkdir upper work root cgroup
mount -t overlay box root -o lowerdir=/,upperdir=upper,workdir=work
mount -t cgroup2 cgroup2 cgroup
"""


class Done(NamedTuple):
    """How a command ended and what it wrote."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Box:
    """A systemd that runs.

    Attributes:
        pid: of its PID 1, seen from outside.
    """

    pid: int

    def run(self, *argv: str, user: str = "root", **variables: str) -> Done:
        """Run a program to its end, as a user with all groups that are theirs."""
        program = list(argv)
        if user != "root":
            ids = [f"--reuid={user}", f"--regid={user}", "--init-groups"]
            program = ["setpriv", *ids, "--", *program]
        done = subprocess.run(
            [*self._entering(), *program],
            env=_ENVIRON | variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def ok(self, *argv: str, user: str = "root", **variables: str) -> str:
        """Run a program that succeeds; return its stdout."""
        done = self.run(*argv, user=user, **variables)
        assert done.code == 0, f"{' '.join(argv)}: {done}\n{self._recently()}"
        return done.out

    def systemctl(self, *arguments: str) -> str:
        """Have systemd do something that succeeds; return what that says."""
        return self.ok("systemctl", *arguments)

    def show(self, unit: str, name: str) -> str:
        """Return a property of a unit."""
        return self.ok("systemctl", "show", f"--property={name}", "--value", unit)[:-1]

    def mark(self) -> str:
        """Return a place in the journal; what was said before lies before it."""
        self.ok("systemd-cat", "echo", "a mark")
        self.ok("journalctl", "--sync")
        shown = self.ok("journalctl", "--lines=1", "--show-cursor", "--quiet")
        return shown.splitlines()[-1].removeprefix("-- cursor: ")

    def journal(self, unit: str, *options: str, since: str) -> str:
        """Return what the journal has of a unit since a mark, a message a line."""
        self.ok("journalctl", "--sync")
        # Not --after-cursor=: systemd 252 drops the first message of the unit if the
        # one at the cursor is of another.
        place = [f"--unit={unit}", f"--cursor={since}", "--output=cat", "--quiet"]
        done = self.run("journalctl", *place, *options)
        return done.out  # with --grep its status is 1 when nothing is found

    def file(self, path: str) -> Path:
        """Return where a file of the box is found from outside."""
        return Path(f"/proc/{self.pid}/root", path.lstrip("/"))

    def power_off(self) -> None:
        """Have systemd shut the box down, as an administrator does; wait for it."""
        off = os.pidfd_open(self.pid)
        self.run("systemctl", "poweroff")  # which may itself go down with the box
        await_end(self.pid, off, within=PATIENCE)

    def cut_power(self) -> None:
        """End it in the midst of all that runs in there."""
        off = os.pidfd_open(self.pid)
        signal.pidfd_send_signal(off, signal.SIGKILL)
        await_end(self.pid, off, within=PATIENCE)

    def processes(self, unit: str) -> list[int]:
        """Return the pids, as the box counts them, in a unit's cgroup and below it."""
        places = [f"*/{unit}/cgroup.procs", "-o", "-path", f"*/{unit}/*/cgroup.procs"]
        found = self.run(
            *("find", "/sys/fs/cgroup", "(", "-path", *places, ")"),
            *("-exec", "cat", "{}", "+"),
        )
        return [int(pid) for pid in found.out.split()]

    def _recently(self) -> str:
        return self.run("journalctl", "--lines=30", "--quiet").out

    def _entering(self) -> list[str]:
        namespaces = [f"--{name}" for name in _NAMESPACES]
        return [
            "nsenter",
            f"--target={self.pid}",
            *namespaces,
            "--root",
            "--wd",
            "--",
        ]


@dataclass(frozen=True, slots=True)
class Layer:
    """What lies over / in a box that has not been booted.

    Attributes:
        root: the folder that becomes part of /.
    """

    root: Path

    def folder(self, path: str) -> Path:
        """Make a folder that everybody can look into."""
        made = self.root
        for part in Path(path.lstrip("/")).parts:
            made /= part
            made.mkdir(mode=0o755, exist_ok=True)
        return made

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file."""
        file = self._new(path)
        file.write_text(text)
        file.chmod(mode)

    def copy(self, source: Path, path: str) -> None:
        """Copy a file or a folder, for everybody to read."""
        target = self._new(path)
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy2(source, target)
        for each in (target, *target.rglob("*")):
            executable = each.is_dir() or each.stat().st_mode & 0o100
            each.chmod(0o755 if executable else 0o644)

    def link(self, path: str, target: str) -> None:
        """Make a symbolic link."""
        self._new(path).symlink_to(target)

    def _new(self, path: str) -> Path:
        return self.folder(str(Path(path).parent)) / Path(path).name


@functools.cache
def hindrance() -> str | None:
    """Return why there can be no box on this machine, None if there can."""
    if os.geteuid() != 0:
        return "only root can boot a systemd"
    if not SYSTEMD.exists():
        return f"needs systemd ({SYSTEMD})"
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        return f"needs {', '.join(missing)}"
    with TemporaryDirectory(prefix="queuectl-box-") as folder:
        probe = ["sh", "-c", _OVERLAY, "sh", folder]
        tried = subprocess.run(
            ["unshare", *(f"--{name}" for name in _NAMESPACES), "--fork", *probe],
            capture_output=True,
            text=True,
            check=False,
        )
    if tried.returncode:
        return f"needs namespaces, overlays and cgroup v2: {tried.stderr.strip()}"
    return None


class Boxing:
    """A box that is being made: first its layer, then its boot."""

    def __init__(self, keeper: subprocess.Popen[str]) -> None:
        self._keeper = keeper
        self.layer = Layer(Path(self._line()) / "layer")
        self.layer.root.chmod(0o755)
        self.layer.write("/etc/hostname", "box\n")
        self.layer.write("/etc/machine-id", "b" * 32 + "\n", 0o444)
        self.layer.write(
            "/etc/systemd/journald.conf.d/box.conf",
            "[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\n",
        )

    def boot(self, target: str = "basic.target") -> Box:
        """Boot it; return when systemd has started all that it starts by itself.

        Once the box is off it can be booted again: files outside of /run and /tmp are
        as they were left, and the boot has an id of its own.

        Raises:
            RuntimeError: it does not come up, or something in it fails.
        """
        assert self._keeper.stdin is not None
        self._keeper.stdin.write(f"{target}\n")
        self._keeper.stdin.flush()
        box = Box(int(self._line()))
        state = box.run("systemctl", "is-system-running", "--wait").out.strip()
        if state != "running":
            failed = box.run("systemctl", "list-units", "--failed", "--plain").out
            raise RuntimeError(f"the box is {state}:\n{failed}")
        return box

    def disk(self, path: str) -> Path:
        """Return where a file that the box has written is found while it is off."""
        upper = self.layer.root.parent / "mount" / "upper"
        return Path(f"/proc/{self._keeper.pid}/root{upper}", path.lstrip("/"))

    def _line(self) -> str:
        assert self._keeper.stdout is not None
        assert self._keeper.stderr is not None
        if line := self._keeper.stdout.readline().strip():
            return line
        raise RuntimeError(f"there is no box:\n{self._keeper.stderr.read()}")


@contextmanager
def a_box(*lent: tuple[str, str]) -> Iterator[Boxing]:
    """Make a box, and take it down with all that is in it.

    Args:
        lent: pairs of a folder of the machine and where it is in the box, read-only.
    """
    with subprocess.Popen(
        # What the keeper mounts is for nobody else to see.
        ["unshare", "--mount", "--", "bash", SCRIPT, "keep", *chain(*lent)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is for pytest, which then takes the box down
    ) as keeper:
        try:
            yield Boxing(keeper)
        finally:
            assert keeper.stdin is not None
            keeper.stdin.close()
            keeper.wait()
