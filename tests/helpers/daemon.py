"""The real daemon, in a home of its own, for tests against the real thing."""

import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil

from helpers.rawclient import PATIENCE, RawClient

ROOT = Path(__file__).parents[2]


class Daemon:
    """One queuectld and its home. It can be ended and started again.

    Attributes:
        home: what QUEUECTL_HOME says.
        log: what it wrote to stderr, over all its starts.
        process: the one that runs now, or ran last.
    """

    process: subprocess.Popen[bytes]

    def __init__(self, home: Path) -> None:
        self.home = home
        self.socket = home / "queuectl.sock"
        self.log = home / "stderr.log"
        self._family: set[psutil.Process] = set()

    def start(self, *options: str, **variables: str) -> None:
        """Start it, and wait until it says that it is ready."""
        address = f"queuectl-test-{uuid4()}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
            notified.bind(f"\0{address}")
            with self.log.open("ab") as log:
                self.process = subprocess.Popen(
                    [sys.executable, "-m", "queuectld", *options],
                    stdin=subprocess.DEVNULL,
                    stderr=log,
                    env=self.environment()
                    | {"NOTIFY_SOCKET": f"@{address}", **variables},
                )
            self._await_ready(notified)

    def environment(self) -> dict[str, str]:
        """Return the variables for the daemon and for clients of it."""
        kept = {"PATH", "HOME", "LANG", "TMPDIR"}
        return {
            **{key: value for key, value in os.environ.items() if key in kept},
            "PYTHONPATH": f"{ROOT}:{ROOT / 'protocol'}",
            "QUEUECTL_HOME": str(self.home),
        }

    def connect(self) -> RawClient:
        """Connect to it."""
        return RawClient(self.socket)

    def call(self, method: str, **params: Any) -> Any:
        """Ask it one thing."""
        with self.connect() as client:
            return client.call(method, **params)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send it a signal; wait until it has ended; return its exit status."""
        self._remember()
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def assert_nothing_left(self) -> None:
        """After a stop: no process of it or of a job, no socket, no worker's record."""
        assert not self.socket.exists()
        assert list((self.home / "workers").iterdir()) == []
        assert list((self.home / "spool").iterdir()) == []
        assert self._survivors() == []

    def clean_up(self) -> None:
        """Kill whatever a test left running."""
        if self.process.poll() is None:
            self._remember()
            self.process.kill()
            self.process.wait()
        for survivor in self._survivors():
            survivor.kill()

    def _await_ready(self, notified: socket.socket) -> None:
        pidfd = os.pidfd_open(self.process.pid)
        watched: list[Any] = [notified, pidfd]
        try:
            # It tells other things too: the first one may not be READY.
            while select.select(watched, [], [], PATIENCE)[0] == [notified]:
                if b"READY=1" in notified.recv(4096).splitlines():
                    return
        finally:
            os.close(pidfd)
        raise AssertionError(f"not ready: {self.log.read_text()}")

    def _remember(self) -> None:
        try:
            family = psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return
        self._family.update(family)

    def _survivors(self) -> list[psutil.Process]:
        """Return what still runs of workers seen and of jobs, whoever's child it is."""
        marker = f"QUEUECTL_SOCKET={self.socket}".encode()
        jobs = {each for each in psutil.process_iter() if marker in _environ(each.pid)}
        return [each for each in self._family | jobs if _runs(each)]


def _environ(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []  # it ended just now, or is none of ours


def _runs(process: psutil.Process) -> bool:
    try:
        # In a container without an init that reaps, an orphan's zombie stays.
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextmanager
def a_daemon(*options: str, **variables: str) -> Iterator[Daemon]:
    """Run a daemon; at the end stop it, if it runs, and see that nothing is left."""
    # Not pytest's directory: its path is too long for a socket.
    home = Path(tempfile.mkdtemp(prefix="queuectl-"))
    daemon = Daemon(home)
    try:
        daemon.start(*options, **variables)
        yield daemon
        if daemon.process.poll() is None:
            assert daemon.stop() == 0, daemon.log.read_text()
            daemon.assert_nothing_left()
    finally:
        daemon.clean_up()
        shutil.rmtree(home)
