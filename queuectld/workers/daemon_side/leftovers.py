"""Find what is left of a job whose worker died, and end it.

The processes are known by what they carry: the mark in their environment, the job's
session, its output files, and who is above them. No pid is signalled on trust: see
``pidfd``. What shook off all of these, or runs as another user, only a cgroup holds.
"""

import os
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from queuectld.clock import Clock
from queuectld.linux import pidfd, procfs
from queuectld.linux.procfs import Process, ProcessId
from queuectld.workers.shared import marker

_WAITED_FOR = 256
"""Processes whose end is awaited at once; one file each."""


KILL_WITHIN = 10.0
"""Seconds for processes to go after SIGKILL; only what is stuck in the kernel needs
more, and then nobody can help."""


@dataclass(frozen=True, slots=True)
class Traces:
    """What the processes of a run can be known by after their worker died.

    Attributes:
        store, lease: what its mark says (``marker``).
        leader: the job's main process, which led its session.
        outputs: paths of the run's output files.
        orphans: returns pids that can only be left from dead workers.
    """

    store: str
    lease: int
    leader: ProcessId | None = None
    outputs: tuple[str, ...] = ()
    orphans: Callable[[], Iterable[int]] = tuple


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What became of the processes that a run left.

    Attributes:
        ended: killed and gone.
        left: still there: not ours to kill, or not dying in time.
    """

    ended: tuple[Process, ...]
    left: tuple[Process, ...]


def find(traces: Traces) -> list[Process]:
    """Return the living processes of a run and everything below them.

    Never the caller, nor anything above it: a daemon may have been started by a job.
    """
    return _Hunt(traces).look()


def kill_leftovers(traces: Traces, *, within: float, clock: Clock) -> Leftovers:
    """Kill what is left of a run. Blocks; use a thread.

    Args:
        traces: how to know its processes.
        within: seconds after which to give up on those that do not die.
        clock: for the deadline.
    """
    deadline = clock.monotonic() + within
    hunt = _Hunt(traces)
    while True:
        for entry in hunt.look():
            hunt.kill(entry)
        left = hunt.left()
        # Whoever was born during a look is new to the next one: so a look that meets
        # nobody new, when nobody is left, has met all.
        if hunt.complete and hunt.refused.issuperset(entry.id for entry in left):
            break
        if clock.monotonic() >= deadline:
            break
        killed = [entry for entry in left if entry.id not in hunt.refused]
        _await_end(killed, deadline, clock)
    gone = [entry for entry in hunt.killed.values() if entry not in left]
    return Leftovers(ended=tuple(gone), left=tuple(left))


class _Hunt:
    """A search for a run's processes that goes on while they multiply.

    Each process is examined once, when it is first met. So a look costs much only the
    first time, and one that forks and exits again and again is met while it is there.
    """

    def __init__(self, traces: Traces) -> None:
        self._traces = traces
        self._mark = marker.variable(traces.store, traces.lease)
        self._files = {os.path.realpath(path) for path in traces.outputs}
        self._table: dict[int, Process] = {}
        self._found: dict[int, Process] = {}
        self.killed: dict[ProcessId, Process] = {}
        self.refused: set[ProcessId] = set()
        self.complete = False

    def look(self) -> list[Process]:
        """Return the run's processes that were not met before."""
        new = procfs.scan(self._table)
        self.complete = not new
        self._table |= new
        spared = _with_ancestors(os.getpid(), self._table)
        before = set(self._found)
        for entry in new.values():
            if entry.alive and entry.pid not in spared and self._belongs(entry):
                self._found[entry.pid] = entry
        for pid in self._traces.orphans():
            # Not as first met: whoever becomes an orphan had another parent then.
            if pid not in spared and (orphan := procfs.process(pid)):
                self._table[pid] = self._found[pid] = orphan
        if self._session_is_ours():
            members = filter(self._in_session, self._table.values())
            self._found |= {p.pid: p for p in members if p.pid not in spared}
        for seed in list(self._found.values()):
            below = procfs.descendants(seed.pid, self._table)
            self._found |= {p.pid: p for p in below}
        fresh = (p for pid, p in self._found.items() if pid not in before)
        return [entry for entry in fresh if entry.alive]

    def kill(self, entry: Process) -> None:
        """Send SIGKILL, and keep in mind whether that was possible."""
        try:
            if pidfd.send(entry.id, signal.SIGKILL):
                self.killed[entry.id] = entry
        except PermissionError:
            self.refused.add(entry.id)

    def left(self) -> list[Process]:
        """Return those met so far that still live."""
        return [entry for entry in self._found.values() if _lives(entry)]

    def _belongs(self, entry: Process) -> bool:
        if procfs.carries(entry.pid, self._mark):
            return True
        return procfs.writes_to(entry.pid, self._files)

    def _session_is_ours(self) -> bool:
        """Whether the number of the job's session still means the job's session.

        It does while its leader is there, or one of the job in it. Otherwise it may
        have been given to somebody else since.
        """
        leader = self._traces.leader
        if leader is None:
            return False
        now = self._table.get(leader.pid)
        if now is not None and now.id == leader:
            return True
        return any(map(self._in_session, self._found.values()))

    def _in_session(self, entry: Process) -> bool:
        leader = self._traces.leader
        return (
            leader is not None
            and entry.session == leader.pid
            and entry.ticks >= leader.ticks
        )


def _lives(entry: Process) -> bool:
    now = procfs.process(entry.pid)
    return now is not None and now.id == entry.id and now.alive


def _with_ancestors(pid: int, table: dict[int, Process]) -> set[int]:
    chain: set[int] = set()
    while pid not in chain:
        chain.add(pid)
        pid = table[pid].parent if pid in table else 0
    return chain


def _await_end(entries: list[Process], deadline: float, clock: Clock) -> None:
    handles = [pidfd.acquire(entry.id) for entry in entries[:_WAITED_FOR]]
    for handle in handles:
        if handle is not None:
            pidfd.ended(handle, within=deadline - clock.monotonic())
            os.close(handle)
