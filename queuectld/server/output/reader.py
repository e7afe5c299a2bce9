"""Reads output files: pieces of one, and where its last lines begin.

A missing file reads as an empty one, as empty files are removed or reused for another
run. The record of the attempt says how much was written; the caller compares.

A file may hold more than its run wrote: a process that opened it during the run can
write on for ever. So reading ends at the recorded size.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from queuectld.core.errors import NO_DESCRIPTORS

TAIL_MAX = 8 * 1024 * 1024
"""Bytes at the end of a file, in which its last lines are searched."""

_BLOCK = 64 * 1024


class UnreadableOutputError(Exception):
    """The file exists and cannot be read; a worker may not have made it."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a file.

    Attributes:
        offset: where it begins.
        size: of the whole stream when it was read.
    """

    data: bytes
    offset: int
    size: int

    @property
    def next(self) -> int:
        """Where the next piece begins."""
        return self.offset + len(self.data)


def open_output(path: str) -> int | None:
    """Return a descriptor to read from; None: there is no such file.

    Raises:
        UnreadableOutputError: there is a file, and it cannot be opened.
        OSError: no descriptor is left.
    """
    # The file may belong to the job's user, who may hold a lease on it. With O_NONBLOCK
    # open() does not wait for that lease; see fcntl(2), "Leases".
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, flags)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in NO_DESCRIPTORS:
            raise
        raise UnreadableOutputError(
            f"the output file {Path(path).name} cannot be read: {error.strerror}"
        ) from None


def read(
    path: str,
    *,
    offset: int,
    tail: int | None,
    limit: int,
    written: int | None = None,
) -> Piece:
    """Return up to ``limit`` bytes from ``offset`` on, or from the last lines on.

    Args:
        path: the file.
        offset: bytes from the beginning.
        tail: lines; if given, ``offset`` is ignored.
        limit: bytes.
        written: bytes that the run wrote; None: all in the file.
    """
    nothing = Piece(b"", 0 if tail is not None else offset, 0)
    fd = open_output(path)
    if fd is None:
        return nothing
    try:
        size = _end(fd, written)
        if tail is not None:
            offset = tail_offset(fd, tail, size)
        # The kernel refuses offsets near the maximum of its type.
        limit = min(limit, size - offset)
        data = read_from(fd, path, offset, limit) if offset < size else b""
        return Piece(data, offset, size) if data or is_at(fd, path) else nothing
    finally:
        os.close(fd)


def read_from(fd: int, path: str, offset: int, limit: int) -> bytes:
    """Return up to ``limit`` bytes of an open file, if it is still at its path.

    An empty file may be reused for another run while it is open here, and then holds
    the output of that run.
    """
    data = os.pread(fd, limit, offset)
    # Checked afterwards: it was at its path when the bytes were read.
    return data if data and is_at(fd, path) else b""


def is_at(fd: int, path: str) -> bool:
    """Whether the file at this path is still the open one."""
    try:
        there = os.stat(path, follow_symlinks=False)  # noqa: PTH116 - for each chunk
    except FileNotFoundError:
        return False
    return os.path.samestat(there, os.fstat(fd))


@dataclass(frozen=True, slots=True)
class Loss:
    """What is left of a stream that had more.

    Attributes:
        written: bytes that the run wrote.
        left: bytes in the file; None: there is no file.
    """

    written: int
    left: int | None


def loss(path: str, written: int | None) -> Loss | None:
    """Tell whether a run that has ended wrote more than its file holds.

    Output is not synced, so a power failure may leave a file without its content. The
    user of the job may also have truncated it.

    Args:
        path: the file.
        written: bytes on record; None: not known.
    """
    if not written:
        return None
    try:
        left = os.lstat(path).st_size
    except FileNotFoundError:
        return Loss(written, None)
    return Loss(written, left) if left < written else None


def tail_start(path: str, lines: int, written: int | None = None) -> int:
    """Return where a file's last ``lines`` lines begin; see ``tail_offset``."""
    fd = open_output(path)
    if fd is None:
        return 0
    try:
        return tail_offset(fd, lines, _end(fd, written))
    finally:
        os.close(fd)


def _end(fd: int, written: int | None) -> int:
    size = os.fstat(fd).st_size
    return size if written is None else min(size, written)


def tail_offset(fd: int, lines: int, end: int) -> int:
    """Return where the last ``lines`` lines before ``end`` begin.

    A last line without a newline counts. Lines that begin more than TAIL_MAX bytes
    before the end are left out or cut.
    """
    start = max(0, end - TAIL_MAX)
    if not lines:
        return end
    # The newline at the very end belongs to the last line, so it is not counted.
    position, borders = end - 1, 0
    while position > start:
        begin = max(start, position - _BLOCK)
        block = os.pread(fd, position - begin, begin)
        found = block.count(b"\n")
        if borders + found >= lines:
            return begin + _nth_from_end(block, lines - borders) + 1
        borders += found
        position = begin
    return start


def _nth_from_end(block: bytes, nth: int) -> int:
    """Return the index of the ``nth`` newline from the end, which exists."""
    index = len(block)
    for _ in range(nth):
        index = block.rindex(b"\n", 0, index)
    return index
