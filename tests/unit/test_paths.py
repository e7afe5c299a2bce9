"""Where daemon and clients meet: the same places from the same environment."""

import pytest

from queuectl_protocol.paths import Paths, resolve


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        (
            {},
            (
                "/home/u/.local/state/queuectl",
                "/home/u/.local/state/queuectl/run",
                "/home/u/.local/state/queuectl/run/queuectl.sock",
            ),
        ),
        (
            {"XDG_RUNTIME_DIR": "/run/user/7"},
            (
                "/home/u/.local/state/queuectl",
                "/run/user/7/queuectl",
                "/run/user/7/queuectl/queuectl.sock",
            ),
        ),
        (
            {"XDG_STATE_HOME": "/var/u"},
            (
                "/var/u/queuectl",
                "/var/u/queuectl/run",
                "/var/u/queuectl/run/queuectl.sock",
            ),
        ),
        (
            {
                "QUEUECTL_HOME": "/tmp/q",
                "XDG_STATE_HOME": "/var/u",
                "XDG_RUNTIME_DIR": "/run/user/7",
            },
            ("/tmp/q", "/tmp/q", "/tmp/q/queuectl.sock"),
        ),
        (
            {"QUEUECTL_HOME": "/tmp/q", "QUEUECTL_SOCKET": "/srv/s.sock"},
            ("/tmp/q", "/tmp/q", "/srv/s.sock"),
        ),
    ],
    ids=["nothing set", "runtime", "state", "home wins", "socket moves alone"],
)
def test_the_environment_names_the_places(
    environ: dict[str, str], expected: tuple[str, str, str]
) -> None:
    """Home over XDG over the home directory; the socket can be moved alone."""
    assert resolve(environ, "/home/u") == Paths(*expected)


@pytest.mark.parametrize(
    "name", ["QUEUECTL_HOME", "QUEUECTL_SOCKET", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"]
)
def test_an_empty_variable_is_an_unset_one(name: str) -> None:
    """``QUEUECTL_HOME= queuectl status`` is the same as without it."""
    assert resolve({name: ""}, "/home/u") == resolve({}, "/home/u")


@pytest.mark.parametrize("name", ["XDG_STATE_HOME", "XDG_RUNTIME_DIR"])
def test_a_relative_xdg_path_is_ignored(name: str) -> None:
    """The XDG specification calls a relative path invalid."""
    assert resolve({name: "some/where"}, "/home/u") == resolve({}, "/home/u")
