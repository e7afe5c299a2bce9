"""Runs a command as fast as Python can: the same call as that of the floor."""

import os


def run(command: str) -> int:
    """Run ``sh -c command``; return its wait status."""
    pid = os.posix_spawn("/bin/sh", ("/bin/sh", "-c", command), os.environ)
    return os.waitpid(pid, 0)[1]
