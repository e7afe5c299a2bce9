"""``systemd install`` where some of its files exist already."""

import shutil

import pytest

from helpers.installation import CHECKOUT, SERVICE, SYSTEM, Installation, program


def test_install_again_changes_nothing(installation: Installation) -> None:
    """Files that are as they should be are not even written."""
    installation.ok("install", "--system")
    before = (installation.image / SERVICE).stat()
    said = installation.ok("install", "--system")
    assert said.count("unchanged  ") == len(SYSTEM) - 1
    assert f"kept       {installation.image / SYSTEM[0]}\n" in said
    after = (installation.image / SERVICE).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_new_version_replaces_what_nobody_has_changed(
    installation: Installation,
) -> None:
    """Units of an earlier version are those that its install wrote."""
    installation.ok("install", "--system")
    template = installation.bin.parent / "lib/queuectl/systemd/queuectld.service"
    template.write_text(template.read_text() + "# newer\n")
    said = installation.ok("install", "--system")
    assert said.count("written") == 1
    assert installation.files()[SERVICE].endswith("# newer\n")


@pytest.mark.parametrize("mine", ["[Service]\n", ""])
def test_a_file_of_others_is_refused(installation: Installation, mine: str) -> None:
    """By name, and then nothing at all is written, unless it is forced."""
    path = installation.image / SERVICE
    path.parent.mkdir(parents=True)
    path.write_text(mine)
    for dry_run in ((), ("--dry-run",)):
        said = installation.refused("install", "--system", *dry_run)
        assert said.startswith(f"{path} was not written by queuectl; ")
        assert "--force" in said
    assert installation.files() == {SERVICE: mine}
    installation.ok("install", "--system", "--force")
    assert program(installation.files()[SERVICE]) == str(installation.bin / "queuectld")


def test_a_changed_file_is_refused(installation: Installation) -> None:
    """An edit under our mark is somebody's work; uninstall asks for --force too."""
    installation.ok("install", "--system")
    path = installation.image / SERVICE
    path.write_text(path.read_text() + "Nice=5\n")
    before = installation.files()
    for command in ("install", "uninstall"):
        said = installation.refused(command, "--system")
        assert said.startswith(f"{path} was changed since queuectl wrote it; ")
    assert installation.files() == before
    installation.ok("uninstall", "--system", "--force")
    assert set(installation.files()) == {SYSTEM[0]}


def test_a_copy_made_by_hand_is_taken_over(installation: Installation) -> None:
    """It says the same, so nothing is lost by marking it."""
    name = SYSTEM[-2]
    (installation.image / name).parent.mkdir(parents=True)
    shutil.copy(CHECKOUT / "systemd/queuectld.socket", installation.image / name)
    installation.ok("install", "--system")
    assert installation.files()[name].startswith("# Written by ")


def test_a_masked_unit_stays_masked(installation: Installation) -> None:
    """A link, as systemctl mask makes it, is not ours."""
    path = installation.image / SERVICE
    path.parent.mkdir(parents=True)
    path.symlink_to("/dev/null")
    assert f"{path} was not written by queuectl" in installation.refused(
        "install", "--system"
    )
    assert path.is_symlink()


def test_the_configuration_is_its_administrators(installation: Installation) -> None:
    """It is written once, and neither --force nor uninstall touches it."""
    path = installation.image / "etc/queuectl/queuectld.toml"
    path.parent.mkdir(parents=True)
    path.write_text("max_page = 500\n")
    installation.ok("install", "--system", "--force")
    assert path.read_text() == "max_page = 500\n"
    said = installation.ok("uninstall", "--system", "--force")
    assert path.read_text() == "max_page = 500\n"
    assert f"left     {path}\n" in said
