"""Whether a state directory is still the one that is held."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from queuectld.host.statedir import StateDirectory


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateDirectory]:
    """A directory with a lock that is open."""
    path = tmp_path / "state"
    path.mkdir()
    lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield StateDirectory(path, "", lock)
    finally:
        os.close(lock)


def deleted(path: Path) -> None:
    (path / "lock").unlink()


def replaced(path: Path) -> None:
    (path / "lock").rename(path / "old")
    (path / "lock").touch()


def became_a_file(path: Path) -> None:
    path.rename(path.with_name("away"))
    path.touch()


@pytest.mark.parametrize("how", [deleted, replaced, became_a_file])
def test_what_is_not_at_its_path_is_not_held(
    state: StateDirectory, how: Callable[[Path], None]
) -> None:
    """Clients that look there do not find the daemon."""
    assert state.is_held()
    how(state.path)
    assert not state.is_held()


def test_what_cannot_be_looked_at_is_held(state: StateDirectory) -> None:
    """As long as it cannot be known, jobs are not ended."""
    state.path.rename(state.path.with_name("away"))
    state.path.symlink_to(state.path)  # ELOOP, which root meets as well
    assert state.is_held()
