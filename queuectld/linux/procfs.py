"""What /proc tells about processes: identity, parents, environment, files, memory.

It only reads. A process can end between any two reads, so a missing process is no
error: a function about one process then returns None or nothing. proc(5) describes
every format.
"""

import os
import sys
import time
from collections.abc import Collection, Iterator
from typing import NamedTuple

_STAT_MAX = 4096  # one line of some 50 numbers and a name of at most 64 bytes
_CHUNK = 256 * 1024
_ENVIRON_MAX = 8 * 1024 * 1024
"""Bytes of an environment that are read: more than exec accepts. A process can make its
environment appear as large as its memory (PR_SET_MM_MAP of prctl(2))."""
_NS_PER_TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


_GONE = (FileNotFoundError, ProcessLookupError, PermissionError)
"""Errors of a read if the process has ended or is another user's. Other errors, such as
a lack of descriptors, tell nothing about the process."""


class ProcessId(NamedTuple):
    """The identity of a process, which no later process with the same pid has.

    Attributes:
        ticks: when it started, in clock ticks since boot, as the kernel writes it. It
            does not move with the wall clock, and means nothing in another boot.
    """

    pid: int
    ticks: int


class Process(NamedTuple):
    """One line of the process table.

    Attributes:
        state: one letter: R, S, D, T, Z ...
        ticks: as in ``ProcessId``.
    """

    pid: int
    name: str
    state: str
    parent: int
    group: int
    session: int
    threads: int
    ticks: int

    @property
    def alive(self) -> bool:
        """Whether it still runs, and does not only wait to be reaped.

        A process whose first thread has ended while others run appears as a zombie.
        """
        return self.state not in "ZX" or self.threads > 1

    @property
    def id(self) -> ProcessId:
        """Its identity within this boot."""
        return ProcessId(self.pid, self.ticks)


def boot_id() -> str:
    """Return the random id that the kernel made at this boot."""
    return os.fsdecode(_read("/proc/sys/kernel/random/boot_id", 64)).strip()


def uptime_ms() -> int:
    """Return how long the machine has been running, in milliseconds."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def start_ticks(pid: int) -> int | None:
    """Return when a process started, as in ``ProcessId``; None if it is gone."""
    found = process(pid)
    return found.ticks if found else None


def now_ticks() -> int:
    """Return the ``start_ticks`` of a process that would start now."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // _NS_PER_TICK


def seconds_since(ticks: int) -> float:
    """Return the seconds since a time in ticks, as of ``start_ticks``."""
    return max(0, now_ticks() - ticks) * _NS_PER_TICK / 1e9


def process(pid: int) -> Process | None:
    """Return the process with this pid, even if it only waits to be reaped."""
    try:
        return parse_stat(_read(f"/proc/{pid}/stat", _STAT_MAX))
    except _GONE:
        return None


def parse_stat(line: bytes) -> Process:
    """Return the process that a line of /proc/PID/stat describes.

    The name is in parentheses and may contain any characters, parentheses and spaces
    included: the last closing parenthesis ends it.
    """
    head, _, rest = line.rpartition(b")")
    pid, _, name = head.partition(b" (")
    # proc(5) counts the fields from 1; fields[0] is the third.
    fields = rest.split(maxsplit=20)
    return Process(
        pid=int(pid),
        name=os.fsdecode(name),
        state=chr(fields[0][0]),
        parent=int(fields[1]),
        group=int(fields[2]),
        session=int(fields[3]),
        threads=int(fields[17]),
        ticks=int(fields[19]),
    )


def scan(known: Collection[int] = ()) -> dict[int, Process]:
    """Return the process table, without the pids that are known already.

    It is no snapshot: processes start and end during the scan.
    """
    found = (process(pid) for pid in _pids() if pid not in known)
    return {entry.pid: entry for entry in found if entry}


def descendants(root: int, table: dict[int, Process]) -> list[Process]:
    """Return the processes below ``root``, parents before their children."""
    children: dict[int, list[Process]] = {}
    for entry in table.values():
        children.setdefault(entry.parent, []).append(entry)
    found: list[Process] = []
    parents = [root]
    # A table that several scans made can contain a loop, if a pid was used again.
    for parent in parents:
        for child in children.pop(parent, ()):
            found.append(child)
            parents.append(child.pid)
    return found


def children(pid: int) -> list[int]:
    """Return the pids of a process's children.

    One read for each of its threads, if the kernel has CONFIG_PROC_CHILDREN, or else a
    scan. It can miss a child while its siblings end: call it again.
    """
    threads = f"/proc/{pid}/task"
    try:
        listed = [_read_all(f"{threads}/{t}/children") for t in os.listdir(threads)]
    except _GONE:
        return [entry.pid for entry in scan().values() if entry.parent == pid]
    return [int(word) for word in b"".join(listed).split()]


def descends(pid: int, ancestor: int) -> bool:
    """Return whether ``ancestor`` is an ancestor of ``pid``, or ``pid`` itself."""
    while pid > 1 and pid != ancestor:
        entry = process(pid)
        pid = entry.parent if entry else 0
    return pid == ancestor


def carries(pid: int, variable: str) -> bool:
    """Return whether the process was started with ``NAME=value`` in its environment.

    False also if that may not be read: the process is another user's, or the kernel
    protects it because it changed its user.
    """
    return b"\0%b\0" % os.fsencode(variable) in _environ(pid)


def variable(pid: int, name: str) -> str | None:
    """Return the value of a variable that the process was started with.

    None if it had no such variable, or as for ``carries``.
    """
    _, there, rest = _environ(pid).partition(b"\0%b=" % os.fsencode(name))
    return os.fsdecode(rest.partition(b"\0")[0]) if there else None


def writes_to(pid: int, paths: Collection[str]) -> bool:
    """Return whether the process has one of these files as its stdout or stderr.

    Args:
        pid: the process.
        paths: as the kernel writes them: absolute and without symbolic links.
    """
    # Read, not followed: a file on a network server that is down would block.
    return any(_target(f"/proc/{pid}/fd/{number}") in paths for number in (1, 2))


class MemoryWatch:
    """Tells whether the kernel has killed processes for lack of memory recently."""

    def __init__(self) -> None:
        self._seen = out_of_memory_kills()

    def ran_out(self) -> bool:
        """Return whether it has since the last call, or since this object was made."""
        before, self._seen = self._seen, out_of_memory_kills()
        return self._seen > before


_SLACK = 1 << 20
"""Bytes by which two counts of the kernel may differ: it adds up those of each
processor."""


class OwnMemory:
    """Tells a child's largest resident set from that of this process, its parent.

    Between the spawn and the exec a child has this process's memory, and the kernel
    counts the peak of that as the child's, too (setmax_mm_hiwater_rss in exec_mmap):
    ``ru_maxrss`` is never less. To reset the counter of either process with
    /proc/PID/clear_refs does not change that.
    """

    def __init__(self) -> None:
        self._most = 0

    def own(self, max_rss: int) -> int | None:
        """Return a child's largest resident set; None if it may be this process's."""
        if max_rss > self._most:
            # Only then is the read of /proc worth its cost.
            self._most = max(self._most, _peak())
        return max_rss if max_rss > self._most + _SLACK else None


def _peak() -> int:
    """Return the largest resident set that this process has had, in bytes."""
    try:
        status = _read_all("/proc/self/status")
    except OSError:
        return sys.maxsize
    _, _, rest = status.partition(b"\nVmHWM:")
    return int(rest.split(maxsplit=1)[0]) * 1024 if rest else sys.maxsize


def out_of_memory_kills() -> int:
    """Return how many processes the kernel killed for lack of memory since boot."""
    try:
        counters = _read_all("/proc/vmstat")
    except OSError:
        return 0
    _, _, rest = counters.partition(b"\noom_kill ")
    return int(rest.split(maxsplit=1)[0]) if rest else 0


def _environ(pid: int) -> bytes:
    """Return the variables of a process, a NUL before, between and after them."""
    try:
        return b"\0%b\0" % _read_all(f"/proc/{pid}/environ", _ENVIRON_MAX)
    except _GONE:
        return b""


def _target(link: str) -> str | None:
    try:
        return os.readlink(link)
    except OSError:
        return None


def _pids() -> Iterator[int]:
    for name in os.listdir("/proc"):
        if name.isdecimal():
            yield int(name)


def _read(path: str, size: int) -> bytes:
    # Not open(), which costs four times as much: this runs for every process.
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, size)
    finally:
        os.close(fd)


def _read_all(path: str, most: int = sys.maxsize) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        read = bytearray()
        while len(read) < most and (chunk := os.read(fd, _CHUNK)):
            read += chunk
        return bytes(read)
    finally:
        os.close(fd)
