"""Whether the database's files are still those that were opened.

SQLite goes on working in files that were deleted or replaced under it, and what it
acknowledges then is gone when the process ends. The check does not open them: to open
and close one would drop SQLite's locks (sqlite.org/howtocorrupt.html, 2.2).
"""

import os
from collections.abc import Iterable
from pathlib import Path

from queuectld.store.api import StoreError


class Files:
    """The database and its log, by their inodes."""

    def __init__(self, path: Path) -> None:
        """Remember the files as they are now, just opened."""
        self._names = (os.fspath(path), f"{os.fspath(path)}-wal")
        self._opened = _inodes(self._names)

    def check(self) -> None:
        """Make sure that a commit goes where the next daemon will look for it.

        Raises:
            StoreError: it would not.
        """
        now = _inodes(self._names)
        for name, opened, found in zip(self._names, self._opened, now, strict=True):
            if found != opened:
                raise StoreError(
                    f"{name} was removed or replaced while the daemon was running, so "
                    "nothing can be stored; put it back if you can, then end this "
                    "daemon and start it again"
                )


def _inodes(names: Iterable[str]) -> list[tuple[int, int] | None]:
    inodes: list[tuple[int, int] | None] = []
    for name in names:
        try:
            found = os.stat(name)  # noqa: PTH116 - twice for each commit
        except OSError:
            inodes.append(None)
        else:
            inodes.append((found.st_dev, found.st_ino))
    return inodes
