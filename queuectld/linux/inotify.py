"""inotify(7) in asyncio: sets an event when a file grows, appears or goes.

A watch reports one change. So a file that is written without pause costs one event each
time that the program asks for it, and nothing while the program is busy.
"""

import asyncio
import ctypes
import os
import struct
from enum import IntFlag

_libc = ctypes.CDLL(None, use_errno=True)

# From <sys/inotify.h>.
_IN_Q_OVERFLOW = 0x4000
_IN_ONESHOT = 0x80000000
_EVENT = struct.Struct("iIII")  # wd, mask, cookie, length of the name that follows

_READ_SIZE = 64 * 1024


class FileChange(IntFlag):
    """The changes that a watch can report."""

    MODIFIED = 0x2
    """A file was written to."""

    CREATED = 0x100 | 0x80
    """Something was created in a directory, or moved into it."""

    GONE = 0x400 | 0x800
    """The watched file itself was deleted or moved away."""

    REMOVED = 0x200 | 0x40
    """Something in a directory was deleted or moved out of it."""


class Watcher:
    """One inotify instance, opened at the first ``arm``."""

    def __init__(self) -> None:
        self._fd: int | None = None
        self._waiting: dict[int, set[asyncio.Event]] = {}

    def arm(self, path: str, change: FileChange, wake: asyncio.Event) -> int:
        """Set ``wake`` at the next change; return a number to ``disarm`` it with.

        Look at the file afterwards: earlier changes are not reported. To arm a watch
        that is still armed changes nothing.

        Raises:
            FileNotFoundError: there is no such file.
            OSError: the user has no watches left (fs.inotify.max_user_watches).
        """
        watch = _checked(
            _libc.inotify_add_watch(
                self._open(), os.fsencode(path), ctypes.c_uint32(change | _IN_ONESHOT)
            )
        )
        self._waiting.setdefault(watch, set()).add(wake)
        return watch

    def disarm(self, watch: int, wake: asyncio.Event) -> None:
        """Remove a watch that ``arm`` returned; the change may have come already."""
        waiting = self._waiting.get(watch)
        if waiting is None:
            return
        waiting.discard(wake)
        if not waiting:
            del self._waiting[watch]
            # Fails if the event is on its way: then the kernel has removed the watch.
            _libc.inotify_rm_watch(self._fd, watch)

    def close(self) -> None:
        """Close the descriptor."""
        if self._fd is not None:
            asyncio.get_running_loop().remove_reader(self._fd)
            os.close(self._fd)
            self._fd = None
            self._waiting.clear()

    def _open(self) -> int:
        if self._fd is None:
            self._fd = _checked(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
            asyncio.get_running_loop().add_reader(self._fd, self._read)
        return self._fd

    def _read(self) -> None:
        assert self._fd is not None
        data, position = os.read(self._fd, _READ_SIZE), 0
        while position < len(data):
            watch, mask, _cookie, length = _EVENT.unpack_from(data, position)
            position += _EVENT.size + length
            if mask & _IN_Q_OVERFLOW:
                self._wake_all()
            else:
                # A watch ends with its event, or with its file (IN_IGNORED). The
                # IN_IGNORED after an event has nobody to wake.
                for wake in self._waiting.pop(watch, ()):
                    wake.set()

    def _wake_all(self) -> None:
        """Events were lost: wake all, so that each looks at its file."""
        waiting, self._waiting = self._waiting, {}
        for wakes in waiting.values():
            for wake in wakes:
                wake.set()


def _checked(result: int) -> int:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result
