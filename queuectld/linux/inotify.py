"""inotify(7): wakes whoever waits for a file to grow or to appear.

A watch is good for one event. A file that is written without pause then costs the
daemon one event for each time it asks, and nothing while a slow client holds it up.
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


class Change(IntFlag):
    """What to wait for."""

    MODIFIED = 0x2
    """A file: it was written to."""

    CREATED = 0x100 | 0x80
    """A directory: something in it was created, or moved to there."""

    GONE = 0x400 | 0x800
    """It was deleted, or moved to elsewhere itself."""

    REMOVED = 0x200 | 0x40
    """A directory: something in it was deleted, or moved to elsewhere."""


class Watcher:
    """One inotify instance for the whole daemon, opened when it is first needed."""

    def __init__(self) -> None:
        self._fd: int | None = None
        self._waiting: dict[int, set[asyncio.Event]] = {}

    def arm(self, path: str, change: Change, wake: asyncio.Event) -> int:
        """Set ``wake`` at the next change; return a number to ``disarm`` it with.

        Look at the file after arming: what was before is not told. Arming again what
        is still armed does nothing.

        Raises:
            FileNotFoundError: there is nothing at this path.
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
        """Forget what ``arm`` returned; it may have happened already."""
        waiting = self._waiting.get(watch)
        if waiting is None:
            return
        waiting.discard(wake)
        if not waiting:
            del self._waiting[watch]
            # Fails when the event is on its way: then the watch is gone already.
            _libc.inotify_rm_watch(self._fd, watch)

    def close(self) -> None:
        """Give the descriptor back."""
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
                # A watch ends with its event or with its file (IN_IGNORED); the
                # IN_IGNORED after an event finds nobody.
                for wake in self._waiting.pop(watch, ()):
                    wake.set()

    def _wake_all(self) -> None:
        """Events were lost: let everybody look for themselves."""
        waiting, self._waiting = self._waiting, {}
        for wakes in waiting.values():
            for wake in wakes:
                wake.set()


def _checked(result: int) -> int:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result
