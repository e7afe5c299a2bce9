"""The environment of a job that has none of its own: one rule, for both sides."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pwd import struct_passwd

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""The PATH that systemd gives its services: see systemd.exec(5)."""


def minimal(user: struct_passwd | None) -> dict[str, str]:
    """Return PATH, and the variables of the user that the job runs as.

    Args:
        user: the account of that user; None: the uid has no account.
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
