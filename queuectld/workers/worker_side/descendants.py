"""The processes of a worker's job: all descendants of the worker.

The worker is a child subreaper (``syscalls``), so every process that the job started is
a descendant of the worker, whatever became of its session and its parents. And no other
process can get a child's pid before the worker reaps it: so children, and the groups
that they are in, are signalled by their numbers.
"""

import contextlib
import os
import signal
from typing import NamedTuple

from queuectld.linux import pidfd, procfs
from queuectld.linux.procfs import Process


class Exit(NamedTuple):
    """How a child ended: its status, as of wait(2), and what it used.

    Attributes:
        max_rss: bytes. Never less than the worker's own: a spawned child begins in the
            worker's memory, and the kernel counts that; see ``procfs.OwnMemory``.
    """

    status: int
    max_rss: int
    user_ms: int
    system_ms: int


def reap(main: int | None) -> tuple[Exit | None, bool]:
    """Reap every child of this process that ended.

    Returns:
        How ``main`` ended, if it is among them; and whether children are left. A
        worker without children has no descendants at all: a process that loses its
        parent below a subreaper becomes the subreaper's child in the same moment.
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


def living() -> list[Process]:
    """Return the living processes below this one, parents before their children."""
    found = procfs.descendants(os.getpid(), procfs.scan())
    return [entry for entry in found if entry.alive]


def terminate(entries: list[Process], main: int | None) -> None:
    """Send SIGTERM to each of these processes, once.

    Args:
        entries: what ``living`` returned.
        main: the job's main process, unless it has been reaped. Its group gets the
            signal in one call, so that no shell sees its child die first and goes on
            with its script.
    """
    if main is not None:
        _signal_group(main, signal.SIGTERM)
    for entry in entries:
        with contextlib.suppress(PermissionError):
            if entry.group != main:
                pidfd.send(entry.id, signal.SIGTERM)
            if entry.state == "T":
                # A stopped process does not handle SIGTERM. As in systemd.kill(5).
                pidfd.send(entry.id, signal.SIGCONT)


def kill_children() -> tuple[list[int], bool]:
    """Send SIGKILL to every child of this process and to the child's whole group.

    The children of a killed child become children of this process. So repeat this, and
    reap, until ``reap`` says that none is left; a race with fork costs another round.

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


def kill_all() -> bool:
    """Send SIGKILL to each descendant that may be signalled; return whether any was.

    This reaches processes below a child that may not be signalled: such a child lives
    on, so they do not become children of this process.
    """
    killed = False
    for entry in living():
        with contextlib.suppress(PermissionError):
            killed |= pidfd.send(entry.id, signal.SIGKILL)
    return killed


def _signal_group(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return
