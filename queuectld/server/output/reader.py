"""Reads what runs wrote: pieces of a file, and where its last lines begin.

A file that is not there reads as an empty one: empty ones are removed or passed on to
another run. Whether there was more is on record, and is for who asked to compare.

Nor is all that is in a file its run's: who opened it while the run lasted can write on
for ever. So what is on record is where the reading ends.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from queuectld.core.errors import NO_DESCRIPTORS

TAIL_MAX = 8 * 1024 * 1024
"""Bytes, at the end of a file, in which its last lines are looked for."""

_BLOCK = 64 * 1024


class UnreadableOutputError(Exception):
    """The file is there and cannot be read; it may not be what a worker made."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a file.

    Attributes:
        offset: where it begins.
        size: the whole stream's, when it was read.
    """

    data: bytes
    offset: int
    size: int

    @property
    def next(self) -> int:
        """Where the next piece begins."""
        return self.offset + len(self.data)


def open_output(path: str) -> int | None:
    """Return a descriptor to read from; None when there is no such file.

    Raises:
        UnreadableOutputError: there is one, and it cannot be opened.
        OSError: there is no descriptor to be had.
    """
    # The file may be its job's, whose user may hold a lease: opened so, it cannot keep
    # the daemon waiting. See fcntl(2), "Leases".
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
        tail: lines; when given, ``offset`` does not matter.
        limit: bytes.
        written: bytes that are the run's; None: all that are there.
    """
    nothing = Piece(b"", 0 if tail is not None else offset, 0)
    fd = open_output(path)
    if fd is None:
        return nothing
    try:
        size = _end(fd, written)
        if tail is not None:
            offset = tail_offset(fd, tail, size)
        # The kernel refuses offsets near the end of its numbers.
        limit = min(limit, size - offset)
        data = read_from(fd, path, offset, limit) if offset < size else b""
        return Piece(data, offset, size) if data or is_at(fd, path) else nothing
    finally:
        os.close(fd)


def read_from(fd: int, path: str, offset: int, limit: int) -> bytes:
    """Return up to ``limit`` bytes of an open file, as long as it is at its place.

    An empty file may become another run's while it is open here, and what is in it then
    is that one's.
    """
    data = os.pread(fd, limit, offset)
    # Asked afterwards: it was at its place when the bytes were read.
    return data if data and is_at(fd, path) else b""


def is_at(fd: int, path: str) -> bool:
    """Whether an open file is still the one at this path."""
    try:
        there = os.stat(path, follow_symlinks=False)  # noqa: PTH116 - for each chunk
    except FileNotFoundError:
        return False
    return os.path.samestat(there, os.fstat(fd))


@dataclass(frozen=True, slots=True)
class Loss:
    """What is left of a stream that had more.

    Attributes:
        written: bytes that it had.
        left: bytes in the file; None: there is none.
    """

    written: int
    left: int | None


def loss(path: str, written: int | None) -> Loss | None:
    """Tell whether a run that has ended wrote more than is there.

    Output is not synced: a power cut may leave a file without its content. And whose
    the run was can have kept it open, and cut it.

    Args:
        path: the file.
        written: bytes on record; None: there is no telling.
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

    A last line without its newline counts. Lines that begin more than TAIL_MAX bytes
    before the end are left out, or cut.
    """
    start = max(0, end - TAIL_MAX)
    if not lines:
        return end
    # The newline at the very end ends the last line; the one before it is the border.
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
    """Return the index of the ``nth`` newline, counted from the end; it is there."""
    index = len(block)
    for _ in range(nth):
        index = block.rindex(b"\n", 0, index)
    return index
