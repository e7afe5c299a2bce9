"""``systemd install`` where the service could not run or its files not be written."""

import subprocess
from pathlib import Path

import pytest

from helpers.installation import EXAMPLE, Installation, python_for_services


@pytest.mark.parametrize("character", ['"', "'", "\\", "\t", "\udcff"])
def test_a_path_that_no_unit_can_name_is_refused(place: Path, character: str) -> None:
    """Systemd would refuse the unit, and say less about it."""
    installation = Installation(place / f"a{character}b", python_for_services())
    said = installation.refused("install", "--system")
    assert said.startswith("no unit file can name ")
    assert installation.files() == {}


def test_without_queuectld_there_is_nothing_to_install(
    installation: Installation,
) -> None:
    """The message says where it was looked for."""
    (installation.bin / "queuectld").unlink()
    said = installation.refused("install", "--user")
    assert said.startswith(f"there is no queuectld in {installation.bin}, ")
    assert installation.files() == {}


def test_a_system_service_cannot_be_in_a_home(installation: Installation) -> None:
    """Systemd would say 203/EXEC; the user's own service can be there."""
    inside = [
        "unshare",
        "--user",
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
        'mount --bind "$0" /home && exec /home/bin/queuectl systemd install "$@"',
        str(installation.bin.parent),
        *("--dry-run", "--root", str(installation.image)),
    ]
    probe = [*inside[:6], 'mount --bind "$0" /home', inside[7]]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to make a mount namespace")
    done = subprocess.run(
        [*inside, "--system"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "the system's service cannot run /home/bin/queuectld: " in done.stderr
    done = subprocess.run(
        [*inside, "--user"], capture_output=True, text=True, check=False
    )
    assert "\nExecStart=/home/bin/queuectld\n" in done.stdout


def test_what_cannot_be_written_is_named(installation: Installation) -> None:
    """Without a traceback, and without leaving half of a file."""
    (installation.image / "etc").mkdir()
    (installation.image / "etc/systemd").write_text("")
    said = installation.refused("install", "--system")
    assert (
        said
        == f"{installation.image / 'etc/systemd/system' / EXAMPLE}: Not a directory"
    )


def test_a_link_does_not_lead_out_of_the_image(installation: Installation) -> None:
    """What it names is in the system that runs, and not in the image."""
    (installation.image / "etc").symlink_to(installation.home)
    said = installation.refused("install", "--system")
    assert f"is a link out of {installation.image}" in said
    assert list(installation.home.iterdir()) == []


def test_an_image_has_to_be_there(installation: Installation) -> None:
    """A mistyped directory is a mistake in the command line."""
    done = installation.run(
        "install", "--system", "--root", str(installation.home / "nope")
    )
    assert done.returncode == 2
    assert "does not exist" in done.stderr


@pytest.mark.parametrize(
    ("hidden", "verb", "mode"),
    [
        ("bin", "enter", 0o700),
        ("bin/queuectld", "run", 0o744),
        ("lib/queuectl/__init__.py", "read", 0o600),
        ("lib/click", "enter", 0o700),
    ],
)
def test_what_the_account_cannot_reach_is_told_with_what_mends_it(
    installation: Installation, hidden: str, verb: str, mode: int
) -> None:
    """As after an installation with umask 077; nothing is written before."""
    path = installation.bin.parent / hidden
    usual = path.stat().st_mode
    path.chmod(mode)
    said = installation.refused("install", "--system")
    assert (
        f"runs as the user queuectl, who may not {verb} {path} (mode {mode:04o})"
        in (said)
    )
    assert said.endswith(f"mend it, then install again: chmod a+rX {path}")
    assert installation.files() == {}
    installation.ok("install", "--user")
    path.chmod(usual)
    installation.ok("install", "--system")
