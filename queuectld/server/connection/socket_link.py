"""The link in the state directory to a socket that is elsewhere.

Clients of a user's own queue look for the socket in the state directory alone. The link
leads to the socket of a configuration or of systemd. It also allows a state directory
whose path is longer than the kernel takes for a socket.
"""

import contextlib
import os
import stat
from pathlib import Path


def make(own: Path, target: Path) -> None:
    """Make ``own`` a link to ``target``, in one step.

    Raises:
        OSError: it cannot be written.
        FileExistsError: there is a file that is no link and no socket.
    """
    if _leads(own, target):
        return
    with contextlib.suppress(FileNotFoundError):
        mode = own.lstat().st_mode
        if not stat.S_ISLNK(mode) and not stat.S_ISSOCK(mode):
            raise FileExistsError(f"{own} is there and is neither socket nor link")
    draft = own.with_name(f"{own.name}.new")
    draft.unlink(missing_ok=True)
    draft.symlink_to(target)
    draft.replace(own)


def remove(own: Path, target: Path) -> None:
    """Remove the link, unless it leads elsewhere now."""
    with contextlib.suppress(OSError):
        if _leads(own, target):
            own.unlink()


def _leads(own: Path, target: Path) -> bool:
    try:
        return os.readlink(own) == str(target)  # noqa: PTH115 (compared as written)
    except OSError:
        return False
