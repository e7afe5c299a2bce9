"""Finds the processes that a job left when its worker died, and ends them.

Four things tell them: the marker in their environment, the job's session, its output
files, and their parents. Signals go through ``pidfd``, never to a bare pid. A process
that has none of these traces, or that runs as another user, only a cgroup can end.
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
"""Processes whose end is awaited at the same time; each takes a file."""


KILL_WITHIN = 10.0
"""Seconds for processes to end after SIGKILL. Only one that hangs in the kernel needs
more, and nothing can end that."""


@dataclass(frozen=True, slots=True)
class Traces:
    """What tells the processes of an attempt after its worker died.

    Attributes:
        store, lease: the two parts of their marker.
        leader: the job's main process, which led its session.
        outputs: paths of the attempt's output files.
        orphans: returns pids of processes that only dead workers can have left.
    """

    store: str
    lease: int
    leader: ProcessId | None = None
    outputs: tuple[str, ...] = ()
    orphans: Callable[[], Iterable[int]] = tuple


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What became of the processes that an attempt left.

    Attributes:
        ended: killed and gone.
        left: still alive: of another user, or they did not end in time.
    """

    ended: tuple[Process, ...]
    left: tuple[Process, ...]


def find(traces: Traces) -> list[Process]:
    """Return the living processes of an attempt, and all their descendants.

    Never the caller, nor an ancestor of it: a job may have started the daemon.
    """
    return _Search(traces).look()


def kill_leftovers(traces: Traces, *, within: float, clock: Clock) -> Leftovers:
    """Kill the processes that an attempt left. Blocks; use a thread.

    Args:
        traces: what tells them.
        within: seconds to wait for their end.
        clock: for the deadline.
    """
    deadline = clock.monotonic() + within
    search = _Search(traces)
    while True:
        for entry in search.look():
            search.kill(entry)
        left = search.left()
        # A process that is born during a look is new to the next one. So a look that
        # finds nothing new, when none is left alive, has found all.
        if search.complete and search.refused.issuperset(entry.id for entry in left):
            break
        if clock.monotonic() >= deadline:
            break
        killed = [entry for entry in left if entry.id not in search.refused]
        _await_end(killed, deadline, clock)
    gone = [entry for entry in search.killed.values() if entry not in left]
    return Leftovers(ended=tuple(gone), left=tuple(left))


class _Search:
    """A search for an attempt's processes, which goes on while they fork.

    It examines each process once, when it first finds it. So only the first look costs
    much, and a later one is quick enough to find a process that forks and exits again
    and again.

    Attributes:
        killed: the processes that got SIGKILL.
        refused: those that this process may not signal.
        complete: the last look found no process that was new.
    """

    def __init__(self, traces: Traces) -> None:
        self._traces = traces
        self._marker = marker.variable(traces.store, traces.lease)
        self._files = {os.path.realpath(path) for path in traces.outputs}
        self._table: dict[int, Process] = {}
        self._found: dict[int, Process] = {}
        self.killed: dict[ProcessId, Process] = {}
        self.refused: set[ProcessId] = set()
        self.complete = False

    def look(self) -> list[Process]:
        """Return the attempt's processes that no look before this one has found."""
        new = procfs.scan(self._table)
        self.complete = not new
        self._table |= new
        spared = _with_ancestors(os.getpid(), self._table)
        before = set(self._found)
        for entry in new.values():
            if entry.alive and entry.pid not in spared and self._belongs(entry):
                self._found[entry.pid] = entry
        for pid in self._traces.orphans():
            # Read again: before it became an orphan it had another parent.
            if pid not in spared and (orphan := procfs.process(pid)):
                self._table[pid] = self._found[pid] = orphan
        if self._session_is_the_jobs():
            members = filter(self._in_session, self._table.values())
            self._found |= {p.pid: p for p in members if p.pid not in spared}
        for seed in list(self._found.values()):
            below = procfs.descendants(seed.pid, self._table)
            self._found |= {p.pid: p for p in below}
        fresh = (p for pid, p in self._found.items() if pid not in before)
        return [entry for entry in fresh if entry.alive]

    def kill(self, entry: Process) -> None:
        """Send SIGKILL, and note whether that was possible."""
        try:
            if pidfd.send(entry.id, signal.SIGKILL):
                self.killed[entry.id] = entry
        except PermissionError:
            self.refused.add(entry.id)

    def left(self) -> list[Process]:
        """Return the processes found so far that are still alive."""
        return [entry for entry in self._found.values() if _lives(entry)]

    def _belongs(self, entry: Process) -> bool:
        if procfs.carries(entry.pid, self._marker):
            return True
        return procfs.writes_to(entry.pid, self._files)

    def _session_is_the_jobs(self) -> bool:
        """Whether the number of the job's session still names that session.

        It does while the leader lives, or another process of the job in it. After that
        the kernel may have given the number to another session.
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
