"""The socket's file: its mode, its removal, and when it is replaced."""

import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from queuectl_protocol.paths import SUN_PATH_MAX
from queuectld.server.connection.endpoint import Endpoint, ListenError, open_endpoint


@pytest.fixture
def folder() -> Iterator[Path]:
    """A directory with a path short enough for a socket."""
    with TemporaryDirectory(prefix="queuectl-") as path:
        yield Path(path)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _close(endpoint: Endpoint) -> None:
    endpoint.socket.close()
    endpoint.remove()


def test_the_socket_is_for_its_owner_alone(folder: Path) -> None:
    """Mode 0600, in a directory made with 0700."""
    path = folder / "run" / "s"
    endpoint = open_endpoint(path)
    assert _mode(path) == 0o600
    assert _mode(path.parent) == 0o700
    _close(endpoint)
    assert not path.exists()


def test_a_stale_socket_is_replaced(folder: Path) -> None:
    """The file that a killed daemon left does not prevent the next one."""
    path = folder / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    endpoint = open_endpoint(path)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    _close(endpoint)


def test_a_live_socket_is_left_alone(folder: Path) -> None:
    """The second daemon is refused, and the first one's clients notice nothing."""
    first = open_endpoint(folder / "s")
    with pytest.raises(ListenError, match="another daemon answers"):
        open_endpoint(folder / "s")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(folder / "s"))
    _close(first)


def test_a_live_socket_with_a_full_backlog_is_left_alone(folder: Path) -> None:
    """A daemon that is too busy to accept is alive."""
    path = folder / "s"
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as client:
        busy.bind(str(path))
        busy.listen(0)
        client.connect(str(path))
        with pytest.raises(ListenError, match="another daemon answers"):
            open_endpoint(path)


def test_a_file_that_is_no_socket_is_left_alone(folder: Path) -> None:
    """A mistyped path does not delete a file."""
    (folder / "s").write_text("precious")
    with pytest.raises(ListenError, match="no socket"):
        open_endpoint(folder / "s")
    assert (folder / "s").read_text() == "precious"


def test_a_path_over_the_limit_is_refused_with_both_numbers(folder: Path) -> None:
    """The kernel's own error would not say what to do."""
    path = folder / ("x" * SUN_PATH_MAX)
    with pytest.raises(ListenError, match=rf"\d+ bytes .* {SUN_PATH_MAX}.*--socket"):
        open_endpoint(path)


def test_the_longest_path_there_can_be_works(folder: Path) -> None:
    """The limit is the kernel's, to the byte."""
    name = "x" * (SUN_PATH_MAX - len(str(folder)) - 1)
    _close(open_endpoint(folder / name))


def test_what_the_kernel_refuses_is_told_with_the_path(folder: Path) -> None:
    """The message names the path and the kernel's reason."""
    (folder / "file").touch()
    with pytest.raises(ListenError, match=r"cannot listen at .*/file/s: "):
        open_endpoint(folder / "file" / "s")


def test_a_successors_socket_is_not_removed(folder: Path) -> None:
    """A daemon that ends removes its own file and no other at its path."""
    old = open_endpoint(folder / "s")
    (folder / "s").unlink()
    new = open_endpoint(folder / "s")
    _close(old)
    assert (folder / "s").exists()
    _close(new)


def test_an_inherited_socket_keeps_its_file() -> None:
    """A file that systemd made is not removed."""
    with socket.socket(socket.AF_UNIX) as passed:
        Endpoint(passed).remove()
