"""Small file systems that fill up or fail, and system calls that fail."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from helpers import waiting
from helpers.home import Home


def can_mount() -> bool:
    """Whether this process may mount file systems."""
    folder = tempfile.mkdtemp(prefix="queuectl-")
    try:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "none", folder], check=False, capture_output=True
        )
        if done.returncode == 0:
            subprocess.run(["umount", folder], check=True)
        return done.returncode == 0
    finally:
        Path(folder).rmdir()


class SmallDisk:
    """A small file system of its own, which can be filled and emptied."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / "filler"

    def fill(self, leave: int = 0) -> None:
        """Fill the disk until only so many bytes are free."""
        free = os.statvfs(self.path)
        size = max(0, free.f_bavail * free.f_frsize - leave)
        with self._filler.open("ab") as filler:
            filler.write(bytes(size))

    @contextmanager
    def without_names(self) -> Iterator[None]:
        """Leave no room for another file, but room for more in existing ones."""
        taken = []
        try:
            while True:
                name = self.path / f"taken-{len(taken)}"
                name.touch()
                taken.append(name)
        except OSError:
            yield
        for name in taken:
            name.unlink()

    def empty(self) -> None:
        """Free the filled space."""
        self._filler.unlink()

    def grow(self, size: str) -> None:
        """Make the file system larger."""
        self.remount(f"size={size}")

    def remount(self, options: str) -> None:
        """Mount it anew with other options."""
        subprocess.run(["mount", "-o", f"remount,{options}", self.path], check=True)


@contextmanager
def a_small_disk(size: str = "4m") -> Iterator[SmallDisk]:
    """Mount a file system of that size; unmount it at the end, whatever it holds."""
    path = Path(tempfile.mkdtemp(prefix="queuectl-disk-"))
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},nr_inodes=100", "none", path],
        check=True,
    )
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "-l", path], check=True)
        path.rmdir()


@contextmanager
def a_home_on(disk: SmallDisk) -> Iterator[Home]:
    """Make a home whose state is on that disk, and whose jobs work elsewhere."""
    root = Path(tempfile.mkdtemp(prefix="queuectl-"))
    home = Home(root)
    home.root = disk.path
    home.socket = disk.path / "queuectl.sock"
    home.environ["QUEUECTL_HOME"] = str(disk.path)
    home.environ["PATH"] += f":{disk.path}"
    try:
        yield home
        home.stop()
    finally:
        home.clean_up()
        shutil.rmtree(root)


@contextmanager
def failing(pid: int, call: str, error: str, when: str = "1+") -> Iterator[None]:
    """Let a system call of a process fail; restore it at the end."""
    what = f"inject={call}:error={error}:when={when}"
    tracer = subprocess.Popen(
        ["strace", "-f", "-p", str(pid), "-e", f"trace={call}", "-e", what,
         "-o", "/dev/null"],
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    assert tracer.stderr is not None
    try:
        line = tracer.stderr.readline()
        assert "attached" in line, line
        waiting.until(lambda: _all_traced(pid, tracer.pid), "all threads are traced")
        yield
    finally:
        tracer.terminate()
        tracer.wait()
        tracer.stderr.close()


def _all_traced(pid: int, tracer: int) -> bool:
    status = [task.read_text() for task in Path(f"/proc/{pid}/task").glob("*/status")]
    return all(f"TracerPid:\t{tracer}\n" in text for text in status)
