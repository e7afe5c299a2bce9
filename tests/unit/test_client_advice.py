"""What a client is told to do when its socket does not serve it."""

import errno
import os
from pathlib import Path

import pytest

from queuectl import dial
from queuectl.errors import DaemonNotRunningError, ForbiddenError


def told(path: str, number: int) -> str:
    """Return the message for an error of connect(2), and check its kind."""
    error = dial._reason(path, OSError(number, os.strerror(number)))
    forbidden = number == errno.EACCES
    assert type(error) is (ForbiddenError if forbidden else DaemonNotRunningError)
    return str(error)


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a user's runtime directory; what the user configures is beside it."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path / "run"


def install(config: Path) -> None:
    """Install the unit of a user's own queue."""
    unit = config / "systemd" / "user" / "queuectld.socket"
    unit.parent.mkdir(parents=True)
    unit.touch()


@pytest.mark.parametrize("number", [errno.ENOENT, errno.ECONNREFUSED])
def test_the_systems_daemon_is_its_services_to_start(number: int) -> None:
    """One that a person started would run as that person, and have other jobs."""
    said = told(dial.SYSTEM_SOCKET, number)
    assert said == (
        f"no daemon answers at /run/queuectl/queuectl.sock ({os.strerror(number)}); "
        "start its service, as root: systemctl start queuectld"
    )


def test_a_stranger_to_the_systems_queue_is_told_of_its_group() -> None:
    """It is a group's membership that opens the socket."""
    assert told(dial.SYSTEM_SOCKET, errno.EACCES) == (
        "you may not use the socket /run/queuectl/queuectl.sock; have root add you to "
        "the group queuectl (usermod --append --groups queuectl YOU) and log in "
        "again, or unset QUEUECTL_SOCKET to use a daemon of your own"
    )


def test_another_ones_socket_is_its_owners_to_open() -> None:
    """Of its groups nothing is known."""
    said = told("/run/other.sock", errno.EACCES)
    assert said.startswith("you may not use the socket /run/other.sock; ask its owner,")


@pytest.mark.parametrize("named", [True, False])
def test_a_queue_of_the_users_systemd_is_that_ones_to_start(
    runtime: Path, monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    """Where its unit is installed, wherever the user keeps what is configured."""
    if named:
        install(runtime.parent / "config")
    else:
        monkeypatch.setenv("XDG_CONFIG_HOME", "not/absolute")
        install(runtime.parent / ".config")
    said = told(str(runtime / "queuectl/queuectl.sock"), errno.ENOENT)
    assert said.endswith("; start its socket: systemctl --user start queuectld.socket")


def test_without_a_unit_a_daemon_is_started_by_hand(runtime: Path) -> None:
    """No service manager would do it."""
    said = told(str(runtime / "queuectl/queuectl.sock"), errno.ENOENT)
    assert said.endswith("; start one: queuectl daemon start")


def test_a_daemon_elsewhere_is_not_the_users_systemds(runtime: Path) -> None:
    """The unit listens in the runtime directory, and nowhere else."""
    install(runtime.parent / "config")
    said = told(str(runtime / "other/queuectl.sock"), errno.ENOENT)
    assert said.endswith("; start one: queuectl daemon start")
