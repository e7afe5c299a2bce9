"""What a job of the campaign runs: it writes down, by itself, when it runs.

A program of its own: ``python -I -S recorder.py FILE MS BYTES FAILS FAMILY``. It
appends to FILE lines ``EVENT RUN LEASE PID NANOSECONDS`` (of CLOCK_MONOTONIC, which
all processes share), each with one synced write to a file opened for appending. So
the order of the lines is the order of the events, whoever died in between.

FILE is locked from the first line to the end of the last process of the attempt: the
kernel itself says whether two attempts met. Imports nothing that is slow to import.
"""

import fcntl
import os
import sys
import time

TICK = 0.05
"""Seconds between signs of life."""

PATTERN = b"0123456789abcdefghijklmnopqrstuvwxyz\n"


def output(run: int, size: int) -> bytes:
    """Return the whole of what an attempt writes to stdout when it gets to its end."""
    return _head(run) + _body(size) + _tail(run)


def _head(run: int) -> bytes:
    return b"begin %d\n" % run


def _body(size: int) -> bytes:
    return (PATTERN * (size // len(PATTERN) + 1))[:size]


def _tail(run: int) -> bytes:
    return b"end %d\n" % run


def main() -> int:
    """Run for MS milliseconds; fail in the first FAILS runs; 0 is the good end."""
    name, ms, size, fails, family = sys.argv[1], *map(int, sys.argv[2:])
    run = int(os.environ["QUEUECTL_ATTEMPT"])
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    _note(fd, run, "start" if _alone(fd) else "overlap")
    _write(1, _head(run))
    until = time.monotonic() + ms / 1000
    if family and os.fork() == 0:
        os.setsid()  # it leaves the session, and is the attempt's all the same
        _live(fd, run, until + 3600)
        os._exit(0)
    _live(fd, run, until)
    _write(1, _body(size))
    _write(1, _tail(run))
    _note(fd, run, "end")
    return 1 if run <= fails else 0


def _alone(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _live(fd: int, run: int, until: float) -> None:
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(TICK, left))
        _note(fd, run, "alive")


def _note(fd: int, run: int, event: str) -> None:
    lease = os.environ["QUEUECTL_LEASE"].rpartition(":")[2]
    line = f"{event} {run} {lease} {os.getpid()} {time.monotonic_ns()}\n"
    os.write(fd, line.encode())
    os.fsync(fd)


def _write(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


if __name__ == "__main__":
    sys.exit(main())
