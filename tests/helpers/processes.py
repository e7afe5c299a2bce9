"""Processes as the kernel tells them: whose they are, what is below them, their end."""

import os
import select
import signal
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Seen:
    """A living process."""

    pid: int
    command: str


def marked(mark: str) -> list[Seen]:
    """Return the processes with this in their command line or first environment."""
    return [seen for pid in pids() if (seen := find(pid, mark))]


def find(pid: int, mark: str) -> Seen | None:
    """Return the process if it carries the mark."""
    command, environ = _read(pid, "cmdline"), _read(pid, "environ")
    if os.fsencode(mark) not in command + environ:
        return None
    return Seen(pid, _text(command))


def children(pid: int) -> list[int]:
    """Return the children of a process, those included that it has yet to reap."""
    tasks = [task.name for task in (PROC / str(pid) / "task").glob("*")]
    found = b" ".join(_read(pid, f"task/{task}/children") for task in tasks)
    return [int(child) for child in found.split()]


def below(pid: int) -> list[str]:
    """Return the commands of all that runs below a process."""
    found = [pid]
    for each in found:
        found += children(each)
    commands = [_read(each, "cmdline") for each in found[1:]]
    return [_text(command) for command in commands if command]


def kill(seen: Seen) -> None:
    """Kill it if it is still there."""
    try:
        os.kill(seen.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def await_end(pid: int, handle: int, within: float) -> None:
    """Wait until the process of a pidfd has ended; close the pidfd."""
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    ended = poll.poll(within * 1000)
    os.close(handle)
    assert ended, f"process {pid} is still there"


def pids() -> list[int]:
    """Return the pids there are."""
    return [int(entry.name) for entry in PROC.iterdir() if entry.name.isdecimal()]


def _read(pid: int, name: str) -> bytes:
    try:
        return (PROC / str(pid) / name).read_bytes()
    except OSError:
        return b""  # it has ended; a zombie has no memory to read from either


def _text(command: bytes) -> str:
    return command.replace(b"\0", b" ").decode(errors="replace").strip()
