"""The environment of a job that has none of its own: one rule, for both sides.

Pure: who the user is, is an argument.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pwd import struct_passwd

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""What systemd gives its services: see systemd.exec(5)."""


def minimal(user: struct_passwd | None) -> dict[str, str]:
    """Return PATH, and who the job runs as.

    Args:
        user: whom the daemon runs as; None for one whom no list knows.
    """
    if user is None:
        return {"PATH": PATH}
    return {
        "PATH": PATH,
        "HOME": user.pw_dir,
        "LOGNAME": user.pw_name,
        "SHELL": user.pw_shell or "/bin/sh",
        "USER": user.pw_name,
    }
