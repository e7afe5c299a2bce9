"""Find what a job started, and end it.

Two situations. A worker ends its own job: everything the job started is below the
worker (a child subreaper, see ``subreaper``), wherever its session and its parents
went. And the daemon ends what is left of a job whose worker died: then the processes
are found by what they carry.

No pid is signalled on trust. A child of ours cannot be replaced before we reap it;
any other process is held by a pidfd and compared with what was found.
"""

import os
import select
import signal
from collections.abc import Collection
from dataclasses import dataclass

from queuectld.clock import Clock
from queuectld.workers import procfs
from queuectld.workers.procfs import Process, ProcessId

MARKER = "QUEUECTL_LEASE"
"""The variable that every process of a job is born with."""

_WAITED_FOR = 256
"""Processes whose end is awaited at once; one file each."""


@dataclass(frozen=True, slots=True)
class Exit:
    """How a child ended: its status as wait(2) has it, and what it used.

    Attributes:
        max_rss: bytes. Not under the worker's own: a spawned child begins in the
            worker's memory, and the kernel counts that.
    """

    status: int
    max_rss: int
    user_ms: int
    system_ms: int


def marker(store: str, lease: int) -> str:
    """Return the value of ``MARKER`` for a run: no two runs ever share it."""
    return f"{store}:{lease}"


def reap(main: int | None) -> tuple[Exit | None, bool]:
    """Collect every child of this process that ended.

    Returns:
        How ``main`` ended, if it is among them; and whether children are left. A
        worker without children has no descendants at all: what loses its parent
        below a subreaper becomes the subreaper's child in the same moment.
    """
    ended = None
    try:
        while True:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
            if pid == 0:
                return ended, True
            if pid == main:
                ended = Exit(
                    status=status,
                    max_rss=usage.ru_maxrss * 1024,
                    user_ms=round(usage.ru_utime * 1000),
                    system_ms=round(usage.ru_stime * 1000),
                )
    except ChildProcessError:
        return ended, False


def below() -> list[Process]:
    """Return the living processes below this one, parents before their children."""
    found = procfs.descendants(os.getpid(), procfs.scan())
    return [entry for entry in found if entry.alive]


def terminate(entries: list[Process], main: int | None) -> None:
    """Send SIGTERM to each of these processes, once.

    Args:
        entries: what ``below`` returned.
        main: the job's main process, if it is still to be reaped. Its group gets the
            signal in one call, so that no shell sees its child die first and goes on
            with its script.
    """
    if main is not None:
        _signal_group(main, signal.SIGTERM)
    for entry in entries:
        if entry.group != main:
            _try(entry, signal.SIGTERM)
        if entry.state == "T":
            # Stopped, it could not answer SIGTERM. systemd.kill(5) does the same.
            _try(entry, signal.SIGCONT)


def kill_children() -> tuple[list[int], bool]:
    """Send SIGKILL to every child of this process and to all of its group.

    What a killed child leaves becomes a child in turn. So repeat this, and reap,
    until ``reap`` says that none is left; a race with fork is only another round.

    Returns:
        The children that may not be signalled, since they run as another user; and
        whether there were others.
    """
    own = os.getpgrp()
    refused = []
    others = False
    for pid in procfs.children(os.getpid()):
        try:
            group = os.getpgid(pid)
            if group != own:
                os.killpg(group, signal.SIGKILL)
            os.kill(pid, signal.SIGKILL)
        except PermissionError:
            refused.append(pid)
        except ProcessLookupError:
            continue
        else:
            others = True
    return refused, others


def send(target: ProcessId, number: int) -> bool:
    """Send a signal to exactly this process; return whether it was there.

    Raises:
        PermissionError: it runs as another user.
    """
    handle = _open(target)
    if handle is None:
        return False
    try:
        signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)
    return True


@dataclass(frozen=True, slots=True)
class Traces:
    """What the processes of a run can be known by after their worker died.

    Attributes:
        store, lease: what its marker says (``marker``).
        leader: the job's main process, which led its session.
        outputs: paths of the run's output files.
    """

    store: str
    lease: int
    leader: ProcessId | None = None
    outputs: tuple[str, ...] = ()

    @property
    def variable(self) -> str:
        """The marker as it stands in an environment."""
        return f"{MARKER}={marker(self.store, self.lease)}"


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
    table = procfs.scan()
    spared = _with_ancestors(os.getpid(), table)
    candidates = [p for p in table.values() if p.alive and p.pid not in spared]
    files = {os.path.realpath(path) for path in traces.outputs}
    found = {p.pid: p for p in candidates if _belongs(p, traces.variable, files)}
    if _leads_still(traces, table, found):
        found |= {p.pid: p for p in candidates if _in_session(p, traces)}
    for seed in list(found.values()):
        below = procfs.descendants(seed.pid, table)
        found |= {p.pid: p for p in below if p.alive}
    return list(found.values())


def kill_leftovers(traces: Traces, *, within: float, clock: Clock) -> Leftovers:
    """Kill what is left of a run. Blocks; use a thread.

    Args:
        traces: how to know its processes.
        within: seconds after which to give up on those that do not die.
        clock: for the deadline.
    """
    deadline = clock.monotonic() + within
    ended: dict[ProcessId, Process] = {}
    while found := find(traces):
        killed = [entry for entry in found if _try(entry, signal.SIGKILL)]
        ended |= {entry.id: entry for entry in killed}
        _await_end(killed, deadline, clock)
        if not killed or clock.monotonic() >= deadline:
            found = find(traces)
            break
    left = {entry.id for entry in found}
    gone = tuple(entry for key, entry in ended.items() if key not in left)
    return Leftovers(ended=gone, left=tuple(found))


def _belongs(entry: Process, variable: str, files: Collection[str]) -> bool:
    return procfs.carries(entry.pid, variable) or procfs.writes_to(entry.pid, files)


def _leads_still(
    traces: Traces, table: dict[int, Process], found: dict[int, Process]
) -> bool:
    """Whether the number of the job's session still means the job's session.

    It does while its leader is there, or one of the job in it. Otherwise it may have
    been given to somebody else since.
    """
    if traces.leader is None:
        return False
    leader = table.get(traces.leader.pid)
    if leader and leader.id == traces.leader:
        return True
    return any(_in_session(entry, traces) for entry in found.values())


def _in_session(entry: Process, traces: Traces) -> bool:
    leader = traces.leader
    return (
        leader is not None
        and entry.session == leader.pid
        and entry.ticks >= leader.ticks
    )


def _with_ancestors(pid: int, table: dict[int, Process]) -> set[int]:
    chain: set[int] = set()
    while pid not in chain:
        chain.add(pid)
        pid = table[pid].parent if pid in table else 0
    return chain


def _try(entry: Process, number: int) -> bool:
    try:
        return send(entry.id, number)
    except PermissionError:
        return False


def _await_end(entries: list[Process], deadline: float, clock: Clock) -> None:
    handles = [_open(entry.id) for entry in entries[:_WAITED_FOR]]
    for handle in handles:
        if handle is not None:
            poll = select.poll()
            poll.register(handle, select.POLLIN)
            poll.poll(max(0, deadline - clock.monotonic()) * 1000)
            os.close(handle)


def _open(target: ProcessId) -> int | None:
    try:
        handle = os.pidfd_open(target.pid)
    except ProcessLookupError:
        return None
    if procfs.start_ticks(target.pid) == target.ticks:
        return handle
    os.close(handle)
    return None


def _signal_group(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return
