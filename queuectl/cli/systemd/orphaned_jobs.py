"""Ends the jobs of a service whose daemon is gone, when the service is stopped.

Jobs outlive their daemon, and systemd runs no command of a failed unit when that is
stopped. So another unit is stopped with it, and runs this. It knows systemd and
cgroups, and nothing of queues.
"""

import os
import select
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from queuectl.cli.systemd.unit_files import SERVICE, Manager

MOUNTS = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"))
"""Where systemd mounts version 2: alone, or beside version 1. See cgroups(7)."""

SUPERVISOR = "supervisor"
"""The cgroup of daemon and workers if cgroups are delegated; jobs have others."""

WITHIN = 45.0
"""Seconds that workers have to interrupt their jobs and to record it: longer than the
usual ``kill_grace``, shorter than the unit's ``TimeoutStopSec=``."""


def end(manager: Manager) -> int:
    """End the processes in the service's cgroup; return how many there were.

    First workers are asked to stop: they interrupt their jobs, whose attempts then do
    not count. What is left after that is killed. While a daemon runs nothing is done.
    """
    shown = _systemctl(manager, "show", "--property=MainPID,ControlGroup", SERVICE)
    known = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    group = _directory(known.get("ControlGroup", ""))
    if known.get("MainPID") != "0" or group is None or not (found := _members(group)):
        return 0
    _ask(group)
    if _members(group):
        _systemctl(manager, "kill", "--signal=SIGKILL", SERVICE)
    return len(found)


def _systemctl(manager: Manager, *arguments: str) -> str:
    mode = ["--user"] if manager is Manager.USER else []
    done = subprocess.run(  # noqa: S603 - our own words
        ["systemctl", *mode, "--no-legend", "--no-pager", *arguments],  # noqa: S607
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    return done.stdout


def _directory(name: str) -> Path | None:
    """Return the directory of a cgroup that systemd names."""
    if not name.strip("/"):
        return None
    places = (mount / name.lstrip("/") for mount in MOUNTS)
    return next((place for place in places if place.is_dir()), None)


def _members(group: Path) -> list[int]:
    """Return the pids in a cgroup and in those below it."""
    found: list[int] = []
    for file in (group / "cgroup.procs", *group.rglob("*/cgroup.procs")):
        with suppress(OSError):  # it has just been removed
            found += map(int, file.read_text("ascii").split())
    return found


def _ask(group: Path) -> None:
    """Ask workers to stop, and wait until they have.

    Without delegation workers and jobs are in one cgroup, and all are asked.
    """
    workers = group / SUPERVISOR
    place = workers if workers.is_dir() else group
    handles = []
    for pid in _members(place):
        with suppress(ProcessLookupError):
            handles.append(handle := os.pidfd_open(pid))
            # With the pidfd open, the pid cannot be reused.
            if pid in _members(place):
                signal.pidfd_send_signal(handle, signal.SIGTERM)
    try:
        _await(set(handles))
    finally:
        for handle in handles:
            os.close(handle)


def _await(handles: set[int]) -> None:
    deadline = time.monotonic() + WITHIN
    poll = select.poll()
    for handle in handles:
        poll.register(handle, select.POLLIN)
    while handles and (left := deadline - time.monotonic()) > 0:
        for handle, _ in poll.poll(left * 1000):
            poll.unregister(handle)
            handles.discard(handle)
