"""A job's cgroup: its limits, its end, and what it used. cgroup v2 only.

Every function takes the path of the job's directory, since there is nothing else to
know of one: its worker makes it and removes it, and a daemon that finds one left has
the name only. A file that is not there belongs to a controller that is not.
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
_OF_STORE = 8  # characters of its uuid

_PERIOD = 100_000
"""Microseconds of processor time are counted anew after this: the kernel's default."""

_LEAST_QUOTA = 1_000
"""Microseconds a period that the kernel takes; less than a percent has longer ones."""

_LONGEST_PERIOD = 1_000_000


class Usage(NamedTuple):
    """What all processes of a job together took.

    Attributes:
        memory_peak: bytes; None without the memory controller.
        oom_kills: processes of it that the kernel killed for lack of memory.
        at_limit: ``memory_max`` was reached, and nothing could be given back.
    """

    memory_peak: int | None
    user_ms: int
    system_ms: int
    oom_kills: int
    at_limit: bool


def path(parent: str, store: str, seq: int, run: int, lease: int) -> str:
    """Return where the cgroup of a run is: its name tells people the job.

    Leases are unique within a store only, and two daemons may share a parent.
    """
    return f"{parent}/{_PREFIX}{seq}.{run}.{lease}.{store[:_OF_STORE]}"


def leases(parent: str, store: str) -> dict[int, str]:
    """Return the job cgroups of a store that there are: lease -> path."""
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
        OSError: it cannot be had.
    """
    try:
        os.mkdir(group)
    except FileExistsError:
        # Of a run that waited for its output files, or (leases are never used twice)
        # of one in a future that a restored backup took back.
        end(group, within=1.0)
        os.mkdir(group)


def limit(group: str, limits: Limits) -> None:
    """Set the limits of a job's cgroup; those that are 0 stay as they are.

    Raises:
        OSError: one cannot be set, as its controller is not there.
    """
    if limits.memory_max:
        _write(group, "memory.oom.group", "1")
        # Else a job would go on in the swap, and slow down all others.
        with contextlib.suppress(FileNotFoundError):
            _write(group, "memory.swap.max", "0")
        _write(group, "memory.max", str(limits.memory_max))
    if limits.cpu_quota:
        _write(group, "cpu.max", cpu_max(limits.cpu_quota))
    if limits.tasks_max:
        _write(group, "pids.max", str(limits.tasks_max))


def cpu_max(percent: float) -> str:
    """Return a quota as cpu.max has it: microseconds of time in microseconds."""
    period = _PERIOD if percent >= 1 else _LONGEST_PERIOD
    return f"{max(_LEAST_QUOTA, round(percent / 100 * period))} {period}"


def kill(group: str) -> None:
    """Send SIGKILL to every process in it, whoever they run as. Linux 5.14."""
    with contextlib.suppress(FileNotFoundError):
        _write(group, "cgroup.kill", "1")


def usage(group: str) -> Usage | None:
    """Return what was used, before it is removed; None if it is gone."""
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
    """Remove it, and what the job made below; return whether it is gone."""
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
    """Kill what is in it, wait until that is gone, remove it; return whether it is.

    Args:
        group: its path.
        within: seconds; what hangs in the kernel may never go.
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
    """End all job cgroups of a store but those of these leases."""
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
    # Not recursive: a job may have made a thousand, one in the other.
    for place in found:
        try:
            entries = list(os.scandir(place))
        except OSError:  # a path that is too long
            return False
        found += [each.path for each in entries if each.is_dir(follow_symlinks=False)]
    try:
        for place in reversed(found):
            os.rmdir(place)
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
    """Return a file of lines of a word and a number."""
    lines = _read(group, file).splitlines()
    pairs = [line.split() for line in lines]
    return {key.decode(): int(value) for key, value in pairs}
