"""Which socket a client talks to."""

import pytest

from queuectl import paths
from queuectl.errors import SocketPathError


def test_the_usual_place_is_the_daemons() -> None:
    """Without a word the socket follows from the environment."""
    place = paths.find(None, {"QUEUECTL_HOME": "/tmp/q"})
    assert (place.socket, place.state_dir) == ("/tmp/q/queuectl.sock", "/tmp/q")
    assert not place.explicit


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
    assert place.explicit


def test_a_path_too_long_for_the_kernel_is_refused() -> None:
    """The error says how long it may be, and what to set instead."""
    paths.find("/" + "x" * 106, {})
    with pytest.raises(SocketPathError, match=r"108 bytes.*107.*QUEUECTL_SOCKET"):
        paths.find("/" + "x" * 107, {})


def test_the_length_of_a_path_is_in_bytes() -> None:
    """Not in characters."""
    with pytest.raises(SocketPathError):
        paths.find("/" + "é" * 60, {})
