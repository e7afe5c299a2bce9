"""A link in the state directory to the socket, where that is somewhere else.

Clients of one's own queue look in the state directory and nowhere else: it is the same
in every session. The link follows the socket of a configuration or of systemd, and lets
a path be longer than the kernel takes.
"""

import contextlib
import os
import stat
from pathlib import Path


def put_up(own: Path, target: Path) -> None:
    """Make ``own`` lead to ``target``, in one step.

    Raises:
        OSError: it cannot be written.
        FileExistsError: there is something that is no link and no socket.
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


def take_down(own: Path, target: Path) -> None:
    """Remove the link, unless it leads elsewhere by now."""
    with contextlib.suppress(OSError):
        if _leads(own, target):
            own.unlink()


def _leads(own: Path, target: Path) -> bool:
    try:
        return os.readlink(own) == str(target)  # noqa: PTH115 (compared as written)
    except OSError:
        return False
