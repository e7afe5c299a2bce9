"""What ``queuectl doctor`` reports where queuectl cannot work."""

import os
from collections.abc import Iterator

import pytest

from faults import disks
from faults.disks import SmallDisk
from helpers.home import Home, a_home

needs_mount = pytest.mark.skipif(
    os.geteuid() != 0 or not disks.can_mount(), reason="needs to mount a tmpfs: root"
)


@pytest.fixture
def disk() -> Iterator[SmallDisk]:
    """A file system that can be made read-only."""
    with disks.a_small_disk() as disk:
        yield disk


def examined(home: Home, name: str) -> str:
    """Return the result of one check; the exit status must match it."""
    done = home.run("doctor")
    lines = done.stdout.splitlines()
    (index,) = (i for i, line in enumerate(lines) if line[9:].startswith(f"{name}: "))
    assert done.returncode == any(line.startswith("error") for line in lines)
    following = lines[index + 1]
    advice = following if following.startswith("         -> ") else ""
    return lines[index] + advice


@needs_mount
def test_a_read_only_place_is_named_with_what_to_do(disk: SmallDisk) -> None:
    """No daemon runs, and none could start."""
    with disks.a_home_on(disk) as home:
        home.serve()
        home.enqueue("true")
        home.stop()
        disk.remount("ro")
        said = examined(home, "state directory")
        disk.remount("rw")
        assert said.startswith("error    ")
        assert "->" in said


@pytest.mark.parametrize("what", ["queuectl.db", "queuectl.db-wal"])
def test_a_database_that_vanished_is_named_with_what_to_do(what: str) -> None:
    """The running daemon reports it about itself."""
    with a_home() as home:
        home.serve()
        home.enqueue("true")
        (home.root / what).rename(home.work / what)
        said = examined(home, "database")
        (home.work / what).rename(home.root / what)
        assert said.startswith("error    ")
        assert "->" in said
        assert examined(home, "database").startswith("ok ")
