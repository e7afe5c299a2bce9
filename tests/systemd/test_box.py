"""The box itself: a systemd of its own, of which nothing stays or gets out."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.processes import await_end
from helpers.systemdbox import Box, a_box, hindrance
from helpers.waiting import until

TESTS = Path(__file__).parents[1]
OWNER = """
import signal
from helpers.systemdbox import a_box

with a_box() as boxing:
    box = boxing.boot()
    box.systemctl("start", "--no-block", "systemd-journald.service")
    print(box.pid, boxing.layer.root.parent, flush=True)
    signal.pause()
"""


@pytest.fixture(autouse=True)
def possible() -> None:
    """Only where there can be a box."""
    if reason := hindrance():
        pytest.skip(reason)


def cgroups(folder: Path) -> list[Path]:
    top = Path("/sys/fs/cgroup")
    return [*top.glob(folder.name), *top.glob(f"*/{folder.name}")]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_box_ends_with_the_process_that_made_it(number: signal.Signals) -> None:
    """Whatever ends the owner: no process, no folder and no cgroup is left."""
    with subprocess.Popen(
        [sys.executable, "-c", OWNER],
        env=os.environ | {"PYTHONPATH": str(TESTS)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as owner:
        assert owner.stdout is not None
        pid, path = owner.stdout.readline().split()
        handle, folder = os.pidfd_open(int(pid)), Path(path)
        assert folder.is_dir()
        assert cgroups(folder)
        owner.send_signal(number)
    await_end(int(pid), handle, within=20)
    until(lambda: not folder.exists(), "the folder is gone")
    assert cgroups(folder) == []


def test_a_box_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    """What the script's commands said is in the error, at once."""
    missing = str(tmp_path / "missing")
    with a_box((missing, "/opt/x")) as boxing, pytest.raises(RuntimeError) as caught:
        boxing.boot()
    assert missing in str(caught.value)


def test_nothing_that_is_done_in_a_box_is_seen_outside() -> None:
    """Files, users, the host's name and processes of a box are its own."""
    with a_box() as boxing:
        box = boxing.boot()
        box.ok("useradd", "inmate")
        box.ok("sh", "-c", "echo changed >/etc/issue; echo new >/usr/bin/inmate")
        assert box.ok("cat", "/proc/sys/kernel/hostname") == "box\n"
        assert box.ok("cat", "/proc/1/comm") == "systemd\n"
    assert "inmate" not in Path("/etc/passwd").read_text()
    assert not Path("/usr/bin/inmate").exists()
    assert Path("/proc/sys/kernel/hostname").read_text() != "box\n"


def test_a_program_in_a_box_has_the_user_that_it_should(box: Box) -> None:
    """A user's groups are those of the box's files, and nothing of root's is kept."""
    assert box.ok("id", "--name", "--groups", user="alice") == "alice queuectl\n"
    assert box.ok("id", "--name", "--groups", user="bob") == "bob\n"
    assert box.run("cat", "/etc/shadow", user="bob").code == 1
