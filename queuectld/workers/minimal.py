"""The environment of a job that was enqueued without one, and runs as the daemon."""

import os
from functools import cache

from queuectld.workers import accounts


@cache
def environment() -> dict[str, str]:
    """Return PATH, and who the daemon runs as; nothing of its own environment."""
    return accounts.environment(os.geteuid())
