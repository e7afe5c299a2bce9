"""A part of the machine's own cgroup tree, for a test.

Version 2, with or without controllers: most container hosts bind those to version 1.
"""

import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from helpers import waiting


@contextmanager
def a_cgroup(mounts: Path) -> Iterator[Path]:
    """Yield a new, empty cgroup; at the end nothing is left of it.

    Args:
        mounts: a directory to mount the tree below, where nobody has yet.
    """
    if os.geteuid():
        pytest.skip("only root can make a cgroup here")
    with _tree(mounts) as tree:
        group = tree / f"queuectl-test-{uuid.uuid4().hex[:8]}"
        group.mkdir()
        try:
            yield group
        finally:
            _end(group)


def members(group: Path) -> list[int]:
    """Return the pids in a cgroup, those below it not counted."""
    return [int(pid) for pid in (group / "cgroup.procs").read_text().split()]


@contextmanager
def _tree(mounts: Path) -> Iterator[Path]:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, rest = line.partition(" - ")
        if rest.startswith("cgroup2 "):
            yield Path(fields.split()[4])
            return
    subprocess.run(["mount", "-t", "cgroup2", "none", mounts], check=True)
    try:
        yield mounts
    finally:
        subprocess.run(["umount", mounts], check=True)


def _end(group: Path) -> None:
    below = [path for path in group.rglob("*") if path.is_dir()]
    for each in [*reversed(below), group]:
        for pid in members(each):
            os.kill(pid, signal.SIGKILL)
        waiting.until(lambda each=each: not members(each), f"{each} to be empty")
        each.rmdir()
