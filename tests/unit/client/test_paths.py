"""Which socket a client talks to."""

import os
from pathlib import Path

import pytest

from queuectl import paths
from queuectl.errors import SocketPathError
from queuectl.paths import Queue


def test_the_usual_place_is_the_daemons() -> None:
    """Without a word the socket follows from the environment."""
    place = paths.find(None, {"QUEUECTL_HOME": "/tmp/q"})
    assert (place.socket, place.state_dir) == ("/tmp/q/queuectl.sock", "/tmp/q")
    assert place.queue is Queue.USER


@pytest.mark.parametrize(
    ("given", "environ", "expected"),
    [
        ("/a.sock", {"QUEUECTL_SOCKET": "/b.sock"}, "/a.sock"),
        (None, {"QUEUECTL_SOCKET": "/b.sock", "QUEUECTL_HOME": "/tmp/q"}, "/b.sock"),
    ],
)
def test_a_named_socket_wins_and_is_explicit(
    given: str | None, environ: dict[str, str], expected: str
) -> None:
    """The argument over the variable, the variable over everything else."""
    place = paths.find(given, environ)
    assert place.socket == expected
    assert place.queue is Queue.SOCKET


def test_a_path_too_long_for_the_kernel_is_refused() -> None:
    """The error says how long it may be, and what to set instead."""
    paths.find("/" + "x" * 106, {})
    with pytest.raises(SocketPathError, match=r"108 bytes.*107.*QUEUECTL_HOME"):
        paths.find("/" + "x" * 107, {})


def test_the_length_of_a_path_is_in_bytes() -> None:
    """Not in characters."""
    with pytest.raises(SocketPathError):
        paths.find("/" + "é" * 60, {})


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a directory for a home and a system's socket, neither of which is there.

    Whoever runs the tests is an ordinary user, on a machine without units.
    """
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setattr(paths, "SYSTEM_SOCKET", str(tmp_path / "system"))
    monkeypatch.setattr(paths, "UNIT_DIRS", (str(tmp_path / "units"),))
    monkeypatch.setattr(os, "geteuid", lambda: 7)
    return tmp_path


def make(machine: Path, *names: str) -> None:
    """Make what is there: one's own queue, the system's, or its unit."""
    files = {
        "own": ".local/state/queuectl/queuectl.db",
        "system": "system",
        "unit": "units/queuectld.socket",
    }
    for name in names:
        file = machine / files[name]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


@pytest.mark.parametrize(
    ("there", "environ", "asked", "expected"),
    [
        ([], {}, None, Queue.USER),
        (["own"], {}, None, Queue.USER),
        (["system"], {}, None, Queue.SYSTEM),
        (["own", "system"], {}, None, Queue.USER),
        (["own", "system"], {}, "system", Queue.SYSTEM),
        (["system"], {}, "user", Queue.USER),
        (["system"], {"QUEUECTL_HOME": "/q"}, None, Queue.USER),
        (["system"], {"QUEUECTL_SOCKET": "/s"}, None, Queue.SOCKET),
        (["system"], {"QUEUECTL_SOCKET": "/s", "QUEUECTL_HOME": "/q"}, None, "socket"),
        (
            ["system"],
            {"QUEUECTL_SOCKET": "/s", "QUEUECTL_HOME": "/q", "QUEUECTL_LEASE": "x:1"},
            None,
            Queue.USER,
        ),
        ([], {"QUEUECTL_SOCKET": "/s", "QUEUECTL_LEASE": "x:1"}, None, Queue.SOCKET),
        (["own", "system"], {"QUEUECTL_SOCKET": "/s"}, "user", Queue.USER),
        (["own", "system"], {"QUEUECTL_HOME": "/q"}, "system", Queue.SYSTEM),
        (["unit"], {}, None, Queue.USER),
    ],
)
def test_the_order_of_queues(
    machine: Path,
    there: list[str],
    environ: dict[str, str],
    asked: str | None,
    expected: str,
) -> None:
    """Option, variables, one's own if it is there, the system's, one's own."""
    make(machine, *there)
    assert paths.find(None, environ, queue=asked).queue == expected


def test_a_system_socket_that_may_not_be_used_is_passed_over(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is not in its group has a queue of his own."""
    make(machine, "system")
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert paths.find(None, {}).queue is Queue.USER


@pytest.mark.parametrize("sign", ["system", "unit"])
def test_root_has_the_systems_queue_where_there_is_one(
    machine: Path, monkeypatch: pytest.MonkeyPatch, sign: str
) -> None:
    """Also while its service is stopped; and none of root's own begins unasked."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    make(machine, sign)
    assert paths.find(None, {}).queue is Queue.SYSTEM
    make(machine, "own")
    assert paths.find(None, {}).queue is Queue.USER
    assert not paths.may_start(paths.find(None, {}))
    assert paths.may_start(paths.find(None, {}, queue="user"))
    assert paths.may_start(paths.find(None, {"QUEUECTL_HOME": "/q"}))


def test_a_user_may_start_his_own_beside_the_systems(machine: Path) -> None:
    """The system's itself, and what is behind a socket, nobody may."""
    make(machine, "own", "system")
    assert paths.may_start(paths.find(None, {}))
    assert not paths.may_start(paths.find(None, {}, queue="system"))
    assert not paths.may_start(paths.find("/s", {}))


def test_two_choices_are_none() -> None:
    """A socket and a queue contradict each other; there are but two queues."""
    with pytest.raises(ValueError, match="give a socket"):
        paths.find("/s", {}, queue="user")
    with pytest.raises(ValueError, match="give a socket"):
        paths.find(None, {}, queue="mine")


def test_a_daemon_of_a_deep_directory_is_found_by_its_link(machine: Path) -> None:
    """The kernel takes no longer path, but the link that the daemon left has one."""
    deep = machine / ("x" * 100)
    deep.mkdir()
    (deep / "queuectl.sock").symlink_to("/run/short.sock")
    place = paths.find(None, {"QUEUECTL_HOME": str(deep)})
    assert (place.queue, place.socket) == (Queue.USER, "/run/short.sock")
