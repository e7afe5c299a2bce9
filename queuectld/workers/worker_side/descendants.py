"""What a worker's job consists of, seen from the worker: all of it is below.

The worker is a child subreaper (``syscalls``), so whatever the job started, wherever
its session and its parents went, is a descendant of the worker. And a child cannot be
replaced by another process with its pid before the worker reaps it: such pids, and
the groups they are in, are signalled directly.
"""

import contextlib
import os
import signal
from typing import NamedTuple

from queuectld.linux import pidfd, procfs
from queuectld.linux.procfs import Process


class Exit(NamedTuple):
    """How a child ended: its status as wait(2) has it, and what it used.

    Attributes:
        max_rss: bytes. Not under the worker's own: a spawned child begins in the
            worker's memory, and the kernel counts that; see ``procfs.OwnMemory``.
    """

    status: int
    max_rss: int
    user_ms: int
    system_ms: int


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
        with contextlib.suppress(PermissionError):
            if entry.group != main:
                pidfd.send(entry.id, signal.SIGTERM)
            if entry.state == "T":
                # Stopped, it could not answer SIGTERM. systemd.kill(5) does the same.
                pidfd.send(entry.id, signal.SIGCONT)


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


def kill_below() -> bool:
    """Send SIGKILL to every process below this one that may get it; return if any.

    For what is below a child that may not be signalled, and so never becomes a child.
    """
    killed = False
    for entry in below():
        with contextlib.suppress(PermissionError):
            killed |= pidfd.send(entry.id, signal.SIGKILL)
    return killed


def _signal_group(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return
