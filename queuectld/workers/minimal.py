"""The environment of a job that was enqueued without one."""

import os
import pwd
from functools import cache

from queuectl_protocol.environment import minimal


@cache
def environment() -> dict[str, str]:
    """Return PATH, and who the daemon runs as; nothing of its own environment."""
    try:
        return minimal(pwd.getpwuid(os.geteuid()))
    except KeyError:
        return minimal(None)
