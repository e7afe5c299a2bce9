"""The machine that ``uml`` boots, seen from within: systemd, the queue, cgroups.

Tests that use this run as root in that machine: they install units and kill processes.
Anywhere else ``hindrance`` says so.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.systemdbox import Box
from helpers.systemdbox_installed import CONFIG, MEMBER, SERVICE
from helpers.systemdbox_queue import Service

CGROUPS = Path("/sys/fs/cgroup")
UNIT_GROUP = CGROUPS / "system.slice" / SERVICE
PYTHON = "/opt/queuectl/bin/python"
"""One that the accounts in the box can run."""

_MARK = Path("/.box")
_ROLES = '\n[roles]\noperate = ["@queuectl"]\n'


@dataclass(frozen=True, slots=True)
class Machine(Box):
    """A systemd that runs, and this program in it."""

    def _entering(self) -> list[str]:
        return []


def hindrance() -> str | None:
    """Return why this is not that machine, None if it is."""
    if not _MARK.exists() or Path("/proc/1/comm").read_text() != "systemd\n":
        return "runs in a machine of its own: make controllers"
    return None


def a_machine() -> Machine:
    """Install the system's queue as the guide says, and the account of a member."""
    machine = Machine(1)
    state = machine.run("systemctl", "is-system-running", "--wait").out.strip()
    assert state == "running", machine.run("systemctl", "--failed").out
    machine.ok("queuectl", "systemd", "install", "--system")
    with machine.file(CONFIG).open("a") as config:
        config.write(_ROLES)
    machine.ok("systemd-sysusers")
    machine.systemctl("daemon-reload")
    machine.ok("useradd", "--create-home", "--groups=queuectl", MEMBER)
    return machine


# -- jobs -----------------------------------------------------------------------------


def attempts(service: Service, job: str) -> list[dict[str, Any]]:
    """Return the attempts of a job, the first one first."""
    shown: dict[str, list[dict[str, Any]]] = json.loads(
        service.ok("show", job, "--json")
    )
    return shown["attempts"]


def end_of(service: Service, job: str) -> dict[str, Any]:
    """Wait until a job has ended, however; return its one attempt."""
    service.queuectl("wait", job)
    (only,) = attempts(service, job)
    return only


def python(code: str) -> tuple[str, ...]:
    """Return the arguments that make a job of a program in Python."""
    return ("--", PYTHON, "-c", code)


# -- cgroups --------------------------------------------------------------------------


def job_groups() -> list[str]:
    """Return the names of the job cgroups there are."""
    return sorted(path.name for path in UNIT_GROUP.glob("job-*"))


def group_of(service: Service, job: str) -> Path:
    """Return the cgroup of a job that runs: job-SEQ.RUN.LEASE.STORE is its name."""
    lease = attempts(service, job)[-1]["lease"]
    (found,) = UNIT_GROUP.glob(f"job-*.{lease}.*")
    return found


def members(group: Path) -> list[int]:
    """Return the pids in a cgroup and below it."""
    files = group.rglob("cgroup.procs")
    return [int(pid) for file in files for pid in file.read_text().split()]


@contextmanager
def watched(group: Path) -> Iterator[dict[int, int]]:
    """Give pidfds of all that is in a cgroup, by pid; close those that are left."""
    handles = {pid: os.pidfd_open(pid) for pid in members(group)}
    try:
        yield handles
    finally:
        for handle in handles.values():
            os.close(handle)
