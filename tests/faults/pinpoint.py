"""Kills a process at an exact system call, from outside: strace injects the signal.

The product needs no hooks for it. SIGKILL on *entering* a call: the call never happens,
and everything before it has.
"""

import os
import select
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import pytest

from helpers import processes, waiting
from helpers.home import BIN, Home
from helpers.rawclient import PATIENCE

needs_strace = pytest.mark.skipif(
    shutil.which("strace") is None, reason="strace is not installed"
)


@dataclass(frozen=True, slots=True)
class Point:
    """A moment in the life of a process: the ``when``-th time it enters a call.

    Attributes:
        calls: the system call; or its names on different machines.
        path: only calls on this file, below the home; None: on any.
        main: only those of the main thread, which talks to clients and workers.
    """

    calls: tuple[str, ...]
    when: int = 1
    path: str | None = None
    main: bool = False

    def arguments(self, home: Home) -> list[str]:
        """Return strace's options."""
        calls = ",".join(f"?{call}" for call in self.calls)
        found = ["-e", f"trace={calls}"]
        found += ["-e", f"inject={calls}:signal=SIGKILL:when={self.when}"]
        if self.path is not None:
            found += ["-P", str(home.root / self.path)]
        return found


KILLED = "+++ killed by SIGKILL +++"
"""What strace notes of the end."""

WAL = "queuectl.db-wal"
UNLINK = ("unlink", "unlinkat")
RENAME = ("rename", "renameat", "renameat2")


@contextmanager
def killed_at(home: Home, pid: int, point: Point) -> Iterator[None]:
    """Kill a process when it comes to a point, which the block must bring it to."""
    handle = home._open(pid)
    log = home.root / "strace"
    follow = [] if point.main else ["-f"]  # all threads, also those to come
    command = ["strace", "-o", str(log), *follow, *point.arguments(home)]
    tracer = subprocess.Popen([*command, "-p", str(pid)], stderr=subprocess.PIPE)
    try:
        _await_attached(tracer)
        yield
        processes.await_end(pid, handle, PATIENCE)
        tracer.wait(PATIENCE)
    finally:
        tracer.terminate()  # it lets go of what it traces
        tracer.communicate()
    assert KILLED in log.read_text()


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Hold a process at its next system call, which its parent does not learn.

    Of a child that SIGSTOP stops the parent gets SIGCHLD, in whichever of its threads.
    """
    tracer = subprocess.Popen(
        ["strace", "-o", os.devnull, "-p", str(pid)], stderr=subprocess.PIPE
    )
    try:
        _await_attached(tracer)
        tracer.send_signal(signal.SIGSTOP)
        yield
    finally:
        tracer.send_signal(signal.SIGTERM)
        tracer.send_signal(signal.SIGCONT)
        tracer.communicate()


def start_and_die(home: Home, point: Point, done: Callable[[], bool]) -> bool:
    """Start a daemon that is killed at a point; return whether it came to that.

    Args:
        home: where it starts.
        point: where it dies.
        done: whether it has passed the point alive, then it is stopped.
    """
    log = home.root / "strace"
    command = ["strace", "-f", "-o", str(log), *point.arguments(home)]
    with (home.root / "queuectld.stderr").open("ab") as errors:
        tracer = subprocess.Popen(
            [*command, str(BIN / "queuectld")],
            cwd=home.work,
            env=home.environ,
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
        )
    waiting.until(
        lambda: tracer.poll() is not None or _is_true(done), "it dies, or it is done"
    )
    if tracer.poll() is None:
        with suppress(OSError, EOFError):  # it may come to the point only now
            home.ask("daemon.stop", now=True)
    tracer.wait(PATIENCE)
    return KILLED in log.read_text()


def _is_true(done: Callable[[], bool]) -> bool:
    try:
        return done()
    except (OSError, EOFError):
        return False  # nobody answers


def _await_attached(tracer: subprocess.Popen[bytes]) -> None:
    assert tracer.stderr is not None
    poll = select.poll()
    poll.register(tracer.stderr, select.POLLIN)
    assert poll.poll(PATIENCE * 1000), "strace does not attach"
    # It attaches to all threads, and only then says so.
    said = os.read(tracer.stderr.fileno(), 65536)
    assert b" attached" in said, said
