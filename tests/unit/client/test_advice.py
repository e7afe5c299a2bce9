"""What a client is told to do when its socket does not serve it."""

import errno
import os
from pathlib import Path

import pytest

from queuectl import dial, paths
from queuectl.errors import DaemonNotRunningError, ForbiddenError
from queuectl.paths import Place
from queuectl_protocol.paths import SYSTEM_SOCKET


def told(place: Place, number: int) -> str:
    """Return the message for an error of connect(2), and check its kind."""
    error = dial._connect_error(place, OSError(number, os.strerror(number)))
    forbidden = number == errno.EACCES
    assert type(error) is (ForbiddenError if forbidden else DaemonNotRunningError)
    return str(error)


@pytest.fixture(autouse=True)
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be a user whose home this is, on a machine without a system's queue."""
    for name in ("QUEUECTL_HOME", "QUEUECTL_SOCKET", "QUEUECTL_LEASE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LOGNAME", "u")
    monkeypatch.setattr(paths, "system_is_there", lambda: False)
    monkeypatch.setattr(os, "geteuid", lambda: 7)
    return tmp_path


def install(config: Path) -> None:
    """Install the unit of a user's own queue."""
    unit = config / "systemd" / "user" / "queuectld.socket"
    unit.parent.mkdir(parents=True)
    unit.touch()


@pytest.mark.parametrize("number", [errno.ENOENT, errno.ECONNREFUSED])
@pytest.mark.parametrize("by_path", [True, False])
def test_the_systems_daemon_is_its_services_to_start(
    number: int, by_path: bool
) -> None:
    """One that a person started would run as that person, and have other jobs."""
    place = paths.find(SYSTEM_SOCKET) if by_path else paths.find(queue="system")
    assert told(place, number) == (
        f"no daemon answers at {SYSTEM_SOCKET} ({os.strerror(number)}); "
        "start its service, as root: systemctl start queuectld"
    )


def test_a_stranger_to_the_systems_queue_is_told_of_its_group() -> None:
    """It is a group's membership that opens the socket."""
    assert told(paths.find(queue="system"), errno.EACCES) == (
        f"you may not use the socket {SYSTEM_SOCKET}; have root add you to the group "
        "queuectl (usermod --append --groups queuectl u) and log in again, or use a "
        "queue of your own: queuectl --user daemon start"
    )


def test_another_ones_socket_is_its_owners_to_open() -> None:
    """Of its groups nothing is known."""
    said = told(paths.find("/run/other.sock"), errno.EACCES)
    assert said.startswith("you may not use the socket /run/other.sock; ask its owner,")


def test_a_home_of_another_user_is_told_of() -> None:
    """As under a sudo that leaves HOME as it was."""
    said = told(paths.find(), errno.EACCES)
    assert "closed to you: set HOME to your home" in said


@pytest.mark.parametrize("named", [True, False])
def test_a_queue_of_the_users_systemd_is_that_ones_to_start(
    user: Path, monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    """Where its unit is installed, wherever the user keeps what is configured."""
    if named:
        install(user / "config")
    else:
        monkeypatch.setenv("XDG_CONFIG_HOME", "not/absolute")
        install(user / ".config")
    said = told(paths.find(), errno.ENOENT)
    assert said.endswith("; start its socket: systemctl --user start queuectld.socket")


@pytest.mark.parametrize(
    ("queue", "command"),
    [(None, "queuectl daemon start"), ("user", "queuectl --user daemon start")],
)
def test_without_a_unit_a_daemon_is_started_by_hand(
    queue: str | None, command: str
) -> None:
    """With the option that was given: without it another queue could be meant."""
    said = told(paths.find(queue=queue), errno.ENOENT)
    assert said.endswith(f"; start one: {command}")


def test_a_queue_in_a_directory_of_its_own_is_not_the_users_systemds(
    user: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The unit is that of the usual one, and of no other."""
    install(user / "config")
    monkeypatch.setenv("QUEUECTL_HOME", str(user / "q"))
    said = told(paths.find(), errno.ENOENT)
    assert said.endswith("; start one: queuectl daemon start")


def test_a_socket_in_a_state_directory_is_started_with_that(user: Path) -> None:
    """The advice names the variable that leads there."""
    home = user / "a queue"
    home.mkdir()
    (home / "lock").touch()
    said = told(paths.find(str(home / "queuectl.sock")), errno.ENOENT)
    assert said.endswith(f": QUEUECTL_HOME='{home}' queuectl --user daemon start")


def test_root_is_told_of_both_queues(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside a service of the system, root's own is not started in passing."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    place = paths.find()
    monkeypatch.setattr(paths, "system_is_there", lambda: True)
    said = told(place, errno.ENOENT)
    assert "queuectl --user daemon start" in said
    assert "queuectl --system status" in said
