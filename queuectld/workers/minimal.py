"""The environment of a job that was enqueued without one."""

import os
import pwd
from functools import cache

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""What systemd gives its services: see systemd.exec(5)."""


@cache
def environment() -> dict[str, str]:
    """Return PATH, and who the daemon runs as; nothing of its own environment."""
    found = {"PATH": PATH}
    try:
        user = pwd.getpwuid(os.geteuid())
    except KeyError:
        return found
    return found | {
        "HOME": user.pw_dir,
        "LOGNAME": user.pw_name,
        "SHELL": user.pw_shell or "/bin/sh",
        "USER": user.pw_name,
    }
