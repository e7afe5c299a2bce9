"""Where daemon and clients meet: the same places from the same environment."""

import pytest

from queuectl_protocol.paths import Paths, resolve

_STATE = "/home/u/.local/state/queuectl"
_JOB = {"QUEUECTL_LEASE": "x:1"}
_HOME = {"QUEUECTL_HOME": "/tmp/q"}
_SOCKET = {"QUEUECTL_SOCKET": "/srv/s.sock"}


@pytest.mark.parametrize(
    ("environ", "state", "socket"),
    [
        ({}, _STATE, None),
        ({"XDG_RUNTIME_DIR": "/run/user/7"}, _STATE, None),
        ({"XDG_STATE_HOME": "/var/u"}, "/var/u/queuectl", None),
        ({**_HOME, "XDG_STATE_HOME": "/var/u"}, "/tmp/q", None),
        ({**_HOME, **_SOCKET}, "/tmp/q", "/srv/s.sock"),
        ({**_HOME, **_SOCKET, **_JOB}, "/tmp/q", None),
        ({**_SOCKET, **_JOB}, _STATE, "/srv/s.sock"),
    ],
    ids=[
        "nothing set",
        "no session moves it",
        "state",
        "home wins",
        "socket moves alone",
        "in a job a home was asked for",
        "in a job the socket is of its queue",
    ],
)
def test_the_environment_names_the_places(
    environ: dict[str, str], state: str, socket: str | None
) -> None:
    """The socket is in the state directory, unless it is moved alone."""
    expected = Paths(state, socket or f"{state}/queuectl.sock")
    assert resolve(environ, "/home/u") == expected


@pytest.mark.parametrize(
    "name", ["QUEUECTL_HOME", "QUEUECTL_SOCKET", "XDG_STATE_HOME", "QUEUECTL_LEASE"]
)
def test_an_empty_variable_is_an_unset_one(name: str) -> None:
    """``QUEUECTL_HOME= queuectl status`` is the same as without it."""
    assert resolve({name: ""}, "/home/u") == resolve({}, "/home/u")


def test_a_relative_xdg_path_is_ignored() -> None:
    """The XDG specification calls a relative path invalid."""
    environ = {"XDG_STATE_HOME": "some/where"}
    assert resolve(environ, "/home/u") == resolve({}, "/home/u")
