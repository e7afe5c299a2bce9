"""What a job inherits from the process that enqueues it."""

import os
from pathlib import Path

import pytest

from queuectl import inherit
from queuectl.errors import CurrentDirectoryError


@pytest.fixture
def umask() -> object:
    """Set a rare umask for a test."""
    before = os.umask(0o031)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_directory_mask_and_environment_are_captured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As they are now, in the form of a job's fields."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WITH", "é \udcff")
    captured = inherit.capture()
    assert captured["cwd"] == str(tmp_path)
    assert captured["umask"] == "0031"
    assert captured["env"]["WITH"] == "é \udcff"
    assert os.umask(0o031) == 0o031


@pytest.mark.parametrize("name", sorted(inherit.PRIVATE))
def test_what_is_this_processs_own_is_left_out(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that enqueues another one does not pass its identity on."""
    monkeypatch.setenv(name, "x")
    assert name not in inherit.environment()


def test_a_daemon_of_another_user_gets_nothing() -> None:
    """An environment is not everybody's to read."""
    assert inherit.for_daemon({"uid": os.geteuid() + 1}) == {}
    assert inherit.for_daemon({}) == {}
    assert set(inherit.for_daemon({"uid": os.geteuid()})) == {"cwd", "umask", "env"}


def test_a_directory_that_is_gone_is_lent_to_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that needs it is not run somewhere else in silence; others do run."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    lent = inherit.capture()
    assert lent["cwd"] is None
    for job in ({}, {"cwd": None}):
        with pytest.raises(CurrentDirectoryError, match="cwd"):
            inherit.check(job, lent)
    inherit.check({"cwd": "/srv"}, lent)
    inherit.check({}, {})
    assert inherit.absolute("/a/../b") == "/b"
    with pytest.raises(CurrentDirectoryError, match="cwd"):
        inherit.absolute("sub")
