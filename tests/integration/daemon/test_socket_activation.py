"""Type=notify and socket activation, with systemd's own launcher and no systemd."""

import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest

from helpers.rawclient import RawClient

LAUNCHER = shutil.which("systemd-socket-activate")

pytestmark = [
    pytest.mark.systemd,
    pytest.mark.skipif(LAUNCHER is None, reason="needs systemd-socket-activate"),
]


@pytest.fixture
def notices(tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """A service manager's notify socket: reads notices until one begins so."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(str(tmp_path / "notify"))
        bound.settimeout(20)

        def until(beginning: str) -> str:
            while not (notice := bound.recv(4096).decode()).startswith(beginning):
                pass
            return notice

        yield until


@pytest.fixture
def launched(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A launcher that listens on a.sock, and becomes the daemon at a connection."""
    variables = {
        "PYTHONPATH": os.pathsep.join(sys.path),
        "QUEUECTL_HOME": str(tmp_path / "home"),
        "NOTIFY_SOCKET": str(tmp_path / "notify"),
        "WATCHDOG_USEC": "200000",
    }
    settings = [f"--setenv={name}={value}" for name, value in variables.items()]
    with subprocess.Popen(
        [
            str(LAUNCHER),
            f"--listen={tmp_path / 'a.sock'}",
            "--fdname=queuectl",
            *settings,
            sys.executable,
            "-m",
            "queuectld",
        ],
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert "Listening on" in process.stderr.readline()
        yield process
        process.kill()


def greeting(client: socket.socket) -> Any:
    """Return the server's first message, read without the client library."""
    (length,) = struct.unpack(">I", client.recv(4, socket.MSG_WAITALL))
    return msgpack.unpackb(client.recv(length, socket.MSG_WAITALL))


def test_a_connection_made_before_the_daemon_runs_is_served(
    launched: subprocess.Popen[str],
    notices: Callable[[str], str],
    tmp_path: Path,
) -> None:
    """The passed socket is served and not removed; the manager gets the messages."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(str(tmp_path / "a.sock"))
        assert greeting(client)["server"] == "queuectld"
        assert "STATUS=" in notices("READY=1")
        notices("WATCHDOG=1")
        notices("WATCHDOG=1")
        launched.send_signal(signal.SIGHUP)
        notices("RELOADING=1")
        notices("READY=1")
        launched.send_signal(signal.SIGTERM)
        notices("STOPPING=1")
    assert launched.wait(20) == 0
    assert (tmp_path / "a.sock").is_socket()
    # Clients find it from the state directory, also to have it started again.
    assert (tmp_path / "home" / "queuectl.sock").readlink() == tmp_path / "a.sock"


def test_the_daemon_is_where_it_really_listens(
    launched: subprocess.Popen[str],
    notices: Callable[[str], str],
    tmp_path: Path,
) -> None:
    """Its status, its doctor and its jobs know the path of the socket it was passed."""
    path = tmp_path / "a.sock"
    with RawClient(path) as client:
        assert client.call("daemon.status")["socket"] == str(path)
        levels = {c["name"]: c["level"] for c in client.call("doctor")["checks"]}
        assert levels["trust"] in {"ok", "warning"}
        client.call("workers.start")
        job = client.call("enqueue", job={"command": "echo $QUEUECTL_SOCKET"})["job"]
        assert client.call("wait", id=job["id"])["job"]["state"] == "completed"
        told = client.call("logs.read", id=job["id"], stream="stdout")
        assert told["data"].decode() == f"{path}\n"
        notices("READY=1")
        launched.send_signal(signal.SIGHUP)
        notices("READY=1")
        path.unlink()
        assert client.call("doctor")["checks"]
        client.call("daemon.stop")
    assert launched.wait(20) == 0
    assert launched.stderr is not None
    assert "option_needs_restart" not in launched.stderr.read()


def test_a_daemon_that_cannot_start_tells_those_who_wait(
    launched: subprocess.Popen[str], tmp_path: Path
) -> None:
    """The socket remains with systemd: otherwise they would wait for ever."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "queuectld.toml").write_text("max_pages = 1\n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(30)
        client.connect(str(tmp_path / "a.sock"))
        refused = greeting(client)
        assert client.recv(1) == b""
    assert refused["error"]["code"] == "shutting_down"
    assert refused["error"]["retryable"] is True
    assert "the daemon cannot start; its log says why" in refused["error"]["message"]
    assert launched.wait(30) == 2
