"""A job's cgroup: its limits, its usage, its end. cgroup v2 only.

Every function takes the path of the cgroup's directory: the worker makes and removes
it, and a daemon that finds one after a crash has only the path. A file is missing
if its controller is not enabled.
"""

import contextlib
import errno
import os
import select
import time
from collections.abc import Collection
from typing import NamedTuple

from queuectld.core.limits import Limits

_PREFIX = "job-"
_OF_STORE = 8  # characters of the store's uuid

_PERIOD = 100_000
"""Microseconds over which the kernel counts processor time: its default."""

_LEAST_QUOTA = 1_000
"""Microseconds in a period: the least that the kernel accepts."""

_LONGEST_PERIOD = 1_000_000
"""Microseconds; for quotas under one percent, which the usual period cannot express."""


class Usage(NamedTuple):
    """What all processes of a job used together.

    Attributes:
        memory_peak: bytes; None without the memory controller.
        oom_kills: how many of them the kernel killed for lack of memory.
        at_limit: they reached ``memory_max``, and the kernel could free nothing.
    """

    memory_peak: int | None
    user_ms: int
    system_ms: int
    oom_kills: int
    at_limit: bool


def path(parent: str, store: str, seq: int, run: int, lease: int) -> str:
    """Return the path of an attempt's cgroup. The name shows people the job.

    It has the store, too: leases are unique only within one, and two daemons may use
    the same parent.
    """
    return f"{parent}/{_PREFIX}{seq}.{run}.{lease}.{store[:_OF_STORE]}"


def leases(parent: str, store: str) -> dict[int, str]:
    """Return the existing job cgroups of a store: lease -> path."""
    found: dict[int, str] = {}
    for each in os.listdir(parent):
        rest, _, of = each.rpartition(".")
        lease = rest.rpartition(".")[2]
        if each.startswith(_PREFIX) and of == store[:_OF_STORE] and lease.isdecimal():
            found[int(lease)] = f"{parent}/{each}"
    return found


def create(group: str) -> None:
    """Make a job's cgroup.

    Raises:
        OSError: it cannot be made.
    """
    try:
        os.mkdir(group)
    except FileExistsError:
        # This attempt has waited for its output files. Or, since leases are never used
        # twice: another attempt had this lease after the backup that was restored.
        end(group, within=1.0)
        os.mkdir(group)


def limit(group: str, limits: Limits) -> None:
    """Set the limits of a job's cgroup; 0 means no limit.

    Raises:
        OSError: one cannot be set: its controller is not enabled.
    """
    if limits.memory_max:
        _write(group, "memory.oom.group", "1")
        # Otherwise the job would go on in the swap, and slow down all others.
        with contextlib.suppress(FileNotFoundError):
            _write(group, "memory.swap.max", "0")
        _write(group, "memory.max", str(limits.memory_max))
    if limits.cpu_quota:
        _write(group, "cpu.max", cpu_max(limits.cpu_quota))
    if limits.tasks_max:
        _write(group, "pids.max", str(limits.tasks_max))


def cpu_max(percent: float) -> str:
    """Return a quota in the format of cpu.max: microseconds, and the period's."""
    period = _PERIOD if percent >= 1 else _LONGEST_PERIOD
    return f"{max(_LEAST_QUOTA, round(percent / 100 * period))} {period}"


def kill(group: str) -> None:
    """Send SIGKILL to every process in it, of whatever user. Needs Linux 5.14."""
    with contextlib.suppress(FileNotFoundError):
        _write(group, "cgroup.kill", "1")


def usage(group: str) -> Usage | None:
    """Return what its processes used; None if the cgroup is gone."""
    try:
        cpu = _flat(group, "cpu.stat")
        events = _flat(group, "memory.events")
        peak = _read(group, "memory.peak")
    except OSError:
        return None
    return Usage(
        memory_peak=int(peak) if peak else None,
        user_ms=cpu.get("user_usec", 0) // 1000,
        system_ms=cpu.get("system_usec", 0) // 1000,
        oom_kills=events.get("oom_kill", 0),
        at_limit=events.get("oom", 0) > 0,
    )


def remove(group: str) -> bool:
    """Remove it, and what the job made below it; return whether it is gone."""
    try:
        os.rmdir(group)
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno != errno.EBUSY:
            return False
        return _remove_below(group)
    return True


def end(group: str, *, within: float) -> bool:
    """Kill its processes, wait for their end, remove it; return whether it is gone.

    Args:
        group: its path.
        within: seconds to wait; a process that hangs in the kernel may never end.
    """
    deadline = time.monotonic() + within
    try:
        events = os.open(f"{group}/cgroup.events", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return not os.path.isdir(group)
    try:
        kill(group)
        _await_empty(events, deadline)
    finally:
        os.close(events)
    return remove(group)


def remove_all(
    parent: str, store: str, kept: Collection[int | None], *, within: float
) -> None:
    """End all job cgroups of a store except those of these leases."""
    for lease, group in leases(parent, store).items():
        if lease not in kept:
            end(group, within=within)


def _await_empty(events: int, deadline: float) -> None:
    poll = select.poll()
    poll.register(events, select.POLLPRI)
    while b"populated 1" in os.pread(events, 4096, 0):
        left = deadline - time.monotonic()
        if left <= 0:
            return
        poll.poll(left * 1000)


def _remove_below(group: str) -> bool:
    found = [group]
    # Not recursive: a job may have nested a thousand of them.
    for directory in found:
        try:
            entries = list(os.scandir(directory))
        except OSError:  # a path that is too long
            return False
        found += [each.path for each in entries if each.is_dir(follow_symlinks=False)]
    try:
        for directory in reversed(found):
            os.rmdir(directory)
    except OSError:
        return False
    return True


def _write(group: str, file: str, value: str) -> None:
    fd = os.open(f"{group}/{file}", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, value.encode())
    finally:
        os.close(fd)


def _read(group: str, file: str) -> bytes:
    try:
        fd = os.open(f"{group}/{file}", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return b""
    try:
        return os.read(fd, 4096)
    finally:
        os.close(fd)


def _flat(group: str, file: str) -> dict[str, int]:
    """Return the contents of a file whose lines are a key and a number."""
    lines = _read(group, file).splitlines()
    pairs = [line.split() for line in lines]
    return {key.decode(): int(value) for key, value in pairs}
