"""Whether the database's files are still those that were opened.

SQLite goes on happily in files that were deleted or replaced under it, and what it
acknowledges then is gone with the process. They are looked at from outside only: to
open one would drop SQLite's locks (sqlite.org/howtocorrupt.html, 2.2).
"""

import os
from pathlib import Path

from queuectld.store.api import StoreError


class Files:
    """The database and its log, by their inodes."""

    def __init__(self, path: Path) -> None:
        """Remember the files as they are now, just opened."""
        self._path = path
        self._opened = {
            name: _inode(name) for name in (os.fspath(path), f"{os.fspath(path)}-wal")
        }

    def check(self) -> None:
        """Make sure that a commit goes where the next daemon will look for it.

        Raises:
            StoreError: it would not.
        """
        for name, inode in self._opened.items():
            if _inode(name) != inode:
                raise StoreError(
                    f"{name} was removed or replaced while the daemon was running, so "
                    "nothing can be stored; put it back if you can, then end this "
                    "daemon and start it again"
                )


def _inode(name: str) -> tuple[int, int] | None:
    try:
        found = os.stat(name)  # noqa: PTH116 - twice for each commit
    except OSError:
        return None
    return found.st_dev, found.st_ino
