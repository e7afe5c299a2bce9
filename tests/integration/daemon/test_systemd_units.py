"""The unit files, as systemd reads them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[3] / "systemd"
NAMES = (
    "queuectld.service",
    "queuectld.socket",
    "queuectld-jobs.service",
    "queuectl-backup.service",
    "queuectl-backup.timer",
)
MANAGERS = {"system": UNITS, "user": UNITS / "user"}
README = (UNITS / "README.md").read_text()

JUDGE = "systemd 252 "
EXPOSURES = {"": 55, "privileges": 89, "strict": 10, "submitter": 70}
"""Tenths of points, 100 at most, as installed and with an example, by that version:
another may count what it knows besides."""

pytestmark = [
    pytest.mark.systemd,
    pytest.mark.skipif(
        shutil.which("systemd-analyze") is None, reason="needs systemd-analyze"
    ),
]


def install(manager: str, directory: Path, example: str = "") -> list[Path]:
    """Copy a manager's units, with a program that exists: verify looks for it.

    Args:
        manager: whose units.
        directory: where to.
        example: of a drop-in, which is put in force.
    """
    if example:
        folder = directory / "queuectld.service.d"
        folder.mkdir()
        text = (UNITS / folder.name / f"{example}.conf.example").read_text()
        (folder / f"{example}.conf").write_text(text)
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


@pytest.mark.parametrize(("example", "threshold"), EXPOSURES.items())
def test_the_exposure_that_systemd_sees_does_not_grow(
    example: str, threshold: int, tmp_path: Path
) -> None:
    """The figures of systemd/README.md. It judges settings, not what a job needs."""
    version = subprocess.run(
        ["systemd-analyze", "--version"], capture_output=True, text=True, check=True
    )
    if not version.stdout.startswith(JUDGE):
        pytest.skip(f"the figures are of {JUDGE.strip()}")
    service, *_ = install("system", tmp_path, example)
    asked = ["systemd-analyze", "security", "--offline=true", "--no-pager"]
    judged = subprocess.run(
        [*asked, f"--threshold={threshold}", service],
        capture_output=True,
        text=True,
        check=False,
    )
    assert judged.returncode == 0, judged.stdout
    figure = f"| `{example}.conf` |" if example else "| as installed |"
    (row,) = [line for line in README.splitlines() if line.startswith(figure)]
    assert f"| {threshold / 10} |" in row


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
