"""Huey on SQLite, with fsync at each commit."""

import os
from collections.abc import Callable

import shell
from huey import SqliteHuey

huey = SqliteHuey(filename=os.environ["PEER_FILE"], fsync=True, results=False)


@huey.task()
def run(command: str) -> int:
    """Run a shell command."""
    return shell.run(command)


def connect() -> Callable[[str], object]:
    """Return what enqueues a job."""
    return run
