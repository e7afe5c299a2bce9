"""A file of output that is read while it grows. inotify tells when it does."""

import asyncio
import contextlib
import os
from pathlib import Path

from queuectld.linux.inotify import FileChange, Watcher
from queuectld.server.output import reader

CHUNK = 64 * 1024
"""Bytes of output in one event."""


class GrowingFile:
    """One output file, read up to some offset.

    Attributes:
        offset: where the next chunk begins.
    """

    def __init__(self, path: str, offset: int) -> None:
        self.offset = offset
        self._path = path
        self._end: int | None = None
        self._fd = reader.open_output(path)
        self._watches: dict[str, int] = {}

    def arm(self, files: Watcher, wake: asyncio.Event) -> None:
        """Have ``wake`` set when the file grows; read after this, not before."""
        if self._fd is None:
            self._await_creation(files, wake)
            self._fd = reader.open_output(self._path)
        if self._fd is not None:
            self._await(self._path, FileChange.MODIFIED, files, wake)

    def disarm(self, files: Watcher, wake: asyncio.Event) -> None:
        """Do not set ``wake`` any more."""
        for watch in self._watches.values():
            files.disarm(watch, wake)
        self._watches.clear()

    def end_at(self, size: int | None) -> None:
        """Read no further than ``size``; None: than the present size."""
        if size is None and self._fd is not None:
            size = os.fstat(self._fd).st_size
        self._end = size

    def read(self) -> bytes:
        """Return the next chunk; empty at the present end."""
        wanted = CHUNK if self._end is None else min(CHUNK, self._end - self.offset)
        if self._fd is None or wanted <= 0:
            return b""
        data = reader.read_from(self._fd, self._path, self.offset, wanted)
        self.offset += len(data)
        return data

    def close(self) -> None:
        """Close the file."""
        if self._fd is not None:
            os.close(self._fd)

    def _await_creation(self, files: Watcher, wake: asyncio.Event) -> None:
        """Watch the file's directory, or the parent in which it will be created."""
        directory = str(Path(self._path).parent)
        if not self._await(directory, FileChange.CREATED, files, wake):
            parent = str(Path(directory).parent)
            self._await(parent, FileChange.CREATED, files, wake)
            # It may have been created just before its parent was watched.
            self._await(directory, FileChange.CREATED, files, wake)

    def _await(
        self, path: str, change: FileChange, files: Watcher, wake: asyncio.Event
    ) -> bool:
        """Watch a path; return False if it does not exist."""
        with contextlib.suppress(FileNotFoundError):
            self._watches[path] = files.arm(path, change, wake)
            return True
        return False
