"""A daemon as root for accounts that exist for it alone, each with a home.

It runs in a mount namespace in which /etc/passwd and /etc/group are files of the test,
and Python and this source are where every user can reach them. The machine's own files
stay as they are, and what is mounted is gone with the last process in there.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import pytest

from helpers.access import loosen
from helpers.daemon import ROOT, Daemon, a_daemon
from helpers.users import User, acting_as

STAFF, LENT = 20120, 20121
"""Groups: one that alice is in, and one that nobody is."""

ALICE = User(20102, gid=20102, groups=(20102, STAFF))
BOB = User(20103, gid=20103, groups=(20103,))
CAROL = User(20104, gid=20104, groups=(20104,))
NAMES = {ALICE.uid: "alice", BOB.uid: "bob", CAROL.uid: "carol"}

WORKERS = 2
"""Of each machine."""

TOOLS = ("mount", "nsenter", "setpriv", "unshare")

ROLES = """
run_as = "submitter"
[roles]
submit = ["alice", "bob", "carol"]
"""

_ENTER = """#!/bin/sh -e
[ "$1" = inside ] || exec unshare --mount --propagation private "$0" inside "$@"
shift
cd {folder}
mount --bind passwd /etc/passwd
mount --bind group /etc/group
mount --bind {base} python
mount --bind {source} source
mount --bind {packages} packages
cd /
exec {python} "$@"
"""

needs_accounts = pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, TOOLS)),
    reason=f"takes root and {', '.join(TOOLS)}",
)


@dataclass(frozen=True, slots=True)
class Machine:
    """The daemon, and the accounts it knows.

    Attributes:
        folder: with all that is mounted, and the homes.
    """

    served: Daemon
    folder: Path

    @property
    def python(self) -> str:
        """An interpreter for everybody, in the daemon's namespace."""
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        return str(self.folder / "python/bin" / f"python{version}")

    @property
    def environ(self) -> dict[str, str]:
        """What it takes for ``python -m queuectl`` to reach this daemon."""
        parts = ("source", "source/protocol", "packages")
        # The interpreter may be linked to a library by a path that only root can read.
        return {
            "LD_LIBRARY_PATH": str(self.folder / "python/lib"),
            "PATH": os.defpath,
            "PYTHONPATH": ":".join(str(self.folder / part) for part in parts),
            "PYTHONDONTWRITEBYTECODE": "1",
            "QUEUECTL_SOCKET": str(self.served.socket),
        }

    def home(self, user: User) -> Path:
        """A directory that this user alone may enter."""
        return self.folder / NAMES[user.uid]

    def enqueue(self, user: User, command: str, **fields: Any) -> str:
        """Enqueue a job as somebody; return its id."""
        job = {"command": command, "max_retries": 0, **fields}
        with acting_as(user), self.served.connect() as client:
            done: str = client.call("enqueue", job=job)["job"]["id"]
        return done

    def ended(self, job_id: str) -> dict[str, Any]:
        """Wait for a job's end; return the job."""
        job: dict[str, Any] = self.served.call("wait", id=job_id)["job"]
        return job

    def run(self, user: User, command: str, **fields: Any) -> dict[str, Any]:
        """Enqueue a job as somebody; return it when it has ended."""
        return self.ended(self.enqueue(user, command, **fields))

    def output(self, job_id: str, stream: str = "stdout") -> str:
        """Return what a job wrote, as root reads it."""
        read = self.served.call("logs.read", id=job_id, stream=stream)
        text: str = read["data"].decode()
        return text

    def said(self, user: User, command: str, **fields: Any) -> str:
        """Return what a job writes that completes."""
        job = self.run(user, command, **fields)
        told = self.output(job["id"], "stderr") if job["state"] != "completed" else ""
        assert job["state"] == "completed", (job, told)
        return self.output(job["id"])

    def typed(
        self, user: User, *arguments: str, module: str = "queuectl"
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end as somebody, in the home of that user."""
        return self.python_as(user, "-m", module, *arguments)

    def python_as(
        self, user: User, *arguments: str
    ) -> subprocess.CompletedProcess[str]:
        """Run Python to its end as somebody, in the home of that user."""
        pid = self.served.process.pid
        groups = ",".join(map(str, user.groups))
        return subprocess.run(
            [
                *("nsenter", f"--target={pid}", "--mount"),
                *("setpriv", f"--reuid={user.uid}", f"--regid={user.gid}"),
                f"--groups={groups}" if groups else "--clear-groups",
                *("env", f"--chdir={self.home(user)}"),
                *(self.python, *arguments),
            ],
            env=self.environ,
            umask=0o027,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def restart(self) -> None:
        """Start the daemon that has ended again, in a namespace like the first."""
        with _in_there(self.folder):
            self.served.start("--config", str(self.folder / "queuectld.toml"))
        loosen(self.served)

    @contextmanager
    def without(self, file: str, text: str) -> Iterator[None]:
        """Take a text out of passwd or group for a while."""
        path = self.folder / file
        before = path.read_text()
        assert text in before
        path.write_text(before.replace(text, ""))
        try:
            yield
        finally:
            path.write_text(before)


def account(machine: Machine, user: User) -> str:
    """Return the line of passwd that is somebody's."""
    return _line(user, machine.folder)


def dropped(user: User) -> User:
    """Return somebody who gave up the supplementary groups."""
    return replace(user, groups=())


@contextmanager
def a_machine(config: str = ROLES) -> Iterator[Machine]:
    """Run a daemon with two workers that runs jobs as their submitters."""
    with TemporaryDirectory(prefix="queuectl-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        _furnish(folder, config)
        with ExitStack() as running:
            with _in_there(folder):
                started = a_daemon("--config", str(folder / "queuectld.toml"))
                served = running.enter_context(started)
            loosen(served)
            served.call("workers.start", count=WORKERS)
            yield Machine(served, folder)


@contextmanager
def _in_there(folder: Path) -> Iterator[None]:
    """Have the daemon started in the namespace; what it starts itself is as ever."""
    with mock.patch.object(sys, "executable", str(folder / "python-in-there")):
        yield


def _furnish(folder: Path, config: str) -> None:
    """Make the files, the homes, the mount points, and what starts Python in there."""
    users = "".join(_line(user, folder) for user in (ALICE, BOB, CAROL))
    groups = f"staff:x:{STAFF}:alice\nlent:x:{LENT}:\n"
    for file, own in (("passwd", users), ("group", groups)):
        (folder / file).write_text(own + Path("/etc", file).read_text())
        (folder / file).chmod(0o644)
    (folder / "queuectld.toml").write_text(config)
    for user in (ALICE, BOB, CAROL):
        home = folder / NAMES[user.uid]
        home.mkdir(mode=0o700)
        os.chown(home, user.uid, user.gid)
    for point in ("python", "source", "packages"):
        (folder / point).mkdir()
    starter = folder / "python-in-there"
    starter.write_text(
        _ENTER.format(
            folder=folder,
            base=sys.base_prefix,
            source=ROOT,
            packages=sysconfig.get_path("purelib"),
            python=sys.executable,
        )
    )
    starter.chmod(0o700)


def _line(user: User, folder: Path) -> str:
    name = NAMES[user.uid]
    return f"{name}:x:{user.uid}:{user.gid}::{folder / name}:/bin/sh\n"
