"""The unit files, as systemd reads them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "systemd"
NAMES = ("queuectld.service", "queuectld.socket")
MANAGERS = {"system": UNITS, "user": UNITS / "user"}

pytestmark = [
    pytest.mark.systemd,
    pytest.mark.skipif(
        shutil.which("systemd-analyze") is None, reason="needs systemd-analyze"
    ),
]


def install(manager: str, directory: Path) -> list[Path]:
    """Copy a manager's units, with a program that exists: verify looks for it."""
    program = directory / "queuectld"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    copies = []
    for name in NAMES:
        text = (MANAGERS[manager] / name).read_text()
        text = re.sub(r"(?m)^ExecStart=\S+", f"ExecStart={program}", text)
        copies.append(directory / name)
        copies[-1].write_text(text)
    return copies


def verify(manager: str, units: list[Path]) -> subprocess.CompletedProcess[str]:
    directory = units[0].parent
    return subprocess.run(
        ["systemd-analyze", "verify", "--recursive-errors=yes", f"--{manager}", *units],
        env={"PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": str(directory)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("manager", MANAGERS)
def test_systemd_finds_nothing_wrong_with_the_units(
    manager: str, tmp_path: Path
) -> None:
    """Every key is known and every value valid, in service and socket."""
    checked = verify(manager, install(manager, tmp_path))
    assert (checked.returncode, checked.stderr) == (0, "")


def test_the_check_itself_sees_a_mistake(tmp_path: Path) -> None:
    """A misspelt key fails the verification: by default systemd only warns."""
    units = install("system", tmp_path)
    service = units[0]
    service.write_text(service.read_text().replace("KillMode", "KilMode"))
    checked = verify("system", units)
    assert checked.returncode != 0
    assert "Unknown key 'KilMode'" in checked.stderr


def test_both_services_end_jobs_on_stop_and_spare_them_on_restart() -> None:
    """What jobs rely on is the same for the system's queue and a user's."""
    for directory in MANAGERS.values():
        lines = (directory / "queuectld.service").read_text().splitlines()
        assert {
            "Type=notify",
            "KillMode=process",
            "KillSignal=SIGTERM",
            "RestartKillSignal=SIGUSR1",
            "OOMPolicy=continue",
        } <= set(lines)


@pytest.mark.skipif(
    shutil.which("systemd-sysusers") is None, reason="needs systemd-sysusers"
)
def test_sysusers_makes_the_services_user_and_group(tmp_path: Path) -> None:
    """User= and SocketGroup= of the units name what sysusers.d creates."""
    (tmp_path / "etc").mkdir()
    conf = UNITS / "sysusers.d" / "queuectl.conf"
    subprocess.run(["systemd-sysusers", f"--root={tmp_path}", conf], check=True)
    assert ":/var/lib/queuectl:" in (tmp_path / "etc/passwd").read_text()
    assert (tmp_path / "etc/group").read_text().startswith("queuectl:")
    assert "User=queuectl\n" in (UNITS / "queuectld.service").read_text()
    assert "SocketGroup=queuectl\n" in (UNITS / "queuectld.socket").read_text()
