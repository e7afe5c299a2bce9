"""``systemd install``: the units for this installation, written into an image."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from helpers.cli import Cli
from helpers.home import BIN
from helpers.installation import (
    CHECKOUT,
    EXAMPLE,
    EXAMPLES,
    SERVICE,
    SYSTEM,
    Installation,
    needs_analyze,
    needs_systemctl,
    program,
    python_for_services,
    reloading,
    verified,
)


def test_install_writes_all_that_a_system_needs(installation: Installation) -> None:
    """Units, user, example and configuration, readable by all whatever the umask."""
    said = installation.ok("install", "--system")
    files = installation.files()
    assert set(files) == set(SYSTEM)
    for name in SYSTEM:
        assert f"written  {installation.image / name}\n" in said
        path = installation.image / name
        assert path.stat().st_mode & 0o7777 == 0o644
        for parent in path.relative_to(installation.image).parents[:-1]:
            assert (installation.image / parent).stat().st_mode & 0o7777 == 0o755
    assert program(files[SERVICE]) == str(installation.bin / "queuectld")
    assert "--config /etc/queuectl/queuectld.toml\n" in files[SERVICE]
    commands = installation.bin
    assert reloading(files[SERVICE]) == [
        f"{commands}/queuectld --config /etc/queuectl/queuectld.toml --check-config",
        "kill -HUP $MAINPID",
        f"{installation.bin}/queuectl --socket /run/queuectl/queuectl.sock status",
    ]


def test_what_it_wrote_is_marked_but_for_the_configuration(
    installation: Installation,
) -> None:
    """The rest of each file is the template."""
    installation.ok("install", "--system")
    files = installation.files()
    sample = (CHECKOUT / "systemd/queuectld.toml").read_text()
    assert files.pop("etc/queuectl/queuectld.toml") == sample
    for name, text in files.items():
        first, _, rest = text.partition("\n")
        assert first.startswith('# Written by "queuectl systemd install" (')
        if name != SERVICE:
            template = name.removeprefix("etc/").removeprefix("systemd/system/")
            template_text = rest.replace(f"{installation.bin}/", "")
            assert template_text == (CHECKOUT / "systemd" / template).read_text()


@needs_systemctl
def test_the_commands_it_prints_make_a_service_of_it(
    installation: Installation,
) -> None:
    """In an image: systemd's own tools make the user and enable both units."""
    *_, users, enable = installation.ok("install", "--system").splitlines()
    assert installation.files().keys() == set(SYSTEM)  # nothing is enabled by itself
    for command in (users, enable):
        subprocess.run(command.split(), capture_output=True, check=True)
    etc = installation.image / "etc"
    assert ":/var/lib/queuectl:" in (etc / "passwd").read_text()
    assert (etc / "systemd/system/sockets.target.wants/queuectld.socket").is_symlink()
    wants = etc / "systemd/system/multi-user.target.wants"
    assert (wants / "queuectld.service").is_symlink()


@needs_analyze
@pytest.mark.systemd
@pytest.mark.parametrize("manager", ["system", "user"])
def test_systemd_finds_nothing_wrong(installation: Installation, manager: str) -> None:
    """Neither with the units nor with an example, once it is a drop-in."""
    installation.ok("install", f"--{manager}")
    (service,) = installation.image.rglob("queuectld.service")
    examples = EXAMPLES if manager == "system" else [EXAMPLE]
    for example in (service.parent / name for name in examples):
        drop_in = example.with_suffix("")
        shutil.copy(example, drop_in)
        checked = verified(service.parent, manager)
        assert (checked.returncode, checked.stderr) == (0, ""), example.name
        drop_in.unlink()


@needs_analyze
@pytest.mark.systemd
def test_a_path_may_have_characters_that_mean_something(place: Path) -> None:
    """Systemd finds the program all the same: it looks for it when it verifies."""
    installation = Installation(place / "a b 50%d $HOME", python_for_services())
    installation.ok("install", "--system")
    directory = installation.image / "etc/systemd/system"
    assert verified(directory, "system").stderr == ""
    unit = installation.files()[SERVICE]
    path = str(installation.bin).replace("%", "%%")
    assert f'ExecStart="{path}/queuectld" ' in unit
    assert f""" >/dev/null' "{path.replace("$", "$$")}/queuectld" """ in unit
    (installation.bin / "queuectld").unlink()
    assert "is not executable" in verified(directory, "system").stderr


def test_a_users_units_are_where_its_systemd_looks(installation: Installation) -> None:
    """Below XDG_CONFIG_HOME or ~/.config; no user, no configuration, nothing else."""
    installation.ok("install", "--user")
    where = str(installation.home / ".config/systemd/user").removeprefix("/")
    files = installation.files()
    names = (EXAMPLE, *(Path(unit).name for unit in SYSTEM[-3:]))
    assert set(files) == {f"{where}/{name}" for name in names}
    unit = files[f"{where}/queuectld.service"]
    assert program(unit) == str(installation.bin / "queuectld")
    assert reloading(unit) == [
        f"{installation.bin}/queuectld --check-config",
        "kill -HUP $MAINPID",
        f"{installation.bin}/queuectl --user status",
    ]
    installation.ok("install", "--user", XDG_CONFIG_HOME="/elsewhere")
    assert "elsewhere/systemd/user/queuectld.service" in installation.files()


def test_root_means_the_system_and_others_mean_themselves(
    installation: Installation,
) -> None:
    """Unless it is said."""
    found = json.loads(installation.ok("install", "--dry-run", "--json"))
    assert found["manager"] == ("user" if os.geteuid() else "system")


def test_a_checkout_finds_its_templates(fresh: Cli, tmp_path: Path) -> None:
    """The command of an editable installation names the program beside it."""
    root = ("--root", str(tmp_path))
    found = fresh.json("systemd", "install", "--user", "--json", *root)
    service = Path(found["files"][1]["path"])
    assert program(service.read_text()) == str(BIN / "queuectld")


def test_a_link_to_the_command_stays_a_link(installation: Installation) -> None:
    """The path that its user knows is in the unit, if queuectld has one there too."""
    links = installation.home / "bin"
    links.mkdir()
    (links / "queuectl").symlink_to(installation.bin / "queuectl")
    installation.ok("install", "--system", command=links / "queuectl")
    assert program(installation.files()[SERVICE]) == str(installation.bin / "queuectld")
    (links / "queuectld").symlink_to(installation.bin / "queuectld")
    installation.ok("install", "--system", command=links / "queuectl")
    assert program(installation.files()[SERVICE]) == str(links / "queuectld")


def test_dry_run_shows_all_and_changes_nothing(installation: Installation) -> None:
    """Each path and the whole text that it would have, as systemctl cat does."""
    shown = installation.ok("install", "--system", "--dry-run")
    assert installation.files() == {}
    installation.ok("install", "--system")
    for name, text in installation.files().items():
        assert f"# {installation.image / name}\n{text}" in shown
    before = installation.files()
    shown = installation.ok("uninstall", "--system", "--dry-run")
    assert f"removed  {installation.image / SERVICE}\n" in shown
    assert installation.files() == before


def test_json_tells_the_same(installation: Installation) -> None:
    """Which file, what became of it, its text in a dry run, and what to run next."""
    dry = json.loads(installation.ok("install", "--system", "--dry-run", "--json"))
    assert dry["dry_run"] is True
    done = json.loads(installation.ok("install", "--system", "--json"))
    assert {each["action"] for each in done["files"]} == {"written"}
    assert [each["path"] for each in done["files"]] == [
        str(installation.image / name) for name in SYSTEM
    ]
    image = installation.image
    assert done["next"] == [
        f"systemd-sysusers --root={image}",
        f"systemctl --root={image} enable queuectld.socket queuectld.service",
    ]
    for each in dry["files"]:
        assert Path(each["path"]).read_text() == each["text"]


def test_a_user_is_told_all_that_is_to_be_done(installation: Installation) -> None:
    """With the daemon that the command line started, which has to end first."""
    fails = installation.home / "systemctl"
    fails.write_text("#!/bin/sh\nexit 3\n")
    fails.chmod(0o755)
    variables = {"PATH": f"{installation.home}:{os.environ['PATH']}"}
    steps = [
        "  systemctl --user daemon-reload",
        "  systemctl --user enable --now queuectld.socket queuectld.service",
        "  loginctl enable-linger",
    ]
    said = installation.run("install", "--user", **variables).stdout
    assert said.partition("Next:\n")[2].splitlines() == steps
    state = installation.home / ".local/state/queuectl"
    state.mkdir(parents=True)
    (state / "queuectl.sock").touch()
    said = installation.run("install", "--user", **variables).stdout
    steps.insert(1, "  queuectl --user daemon stop")
    assert said.partition("Next:\n")[2].splitlines() == steps


# -- copies of the database ------------------------------------------------------------

COPIES = ("queuectl-backup.service", "queuectl-backup.timer")


@needs_analyze
@pytest.mark.systemd
@pytest.mark.parametrize("manager", ["system", "user"])
def test_a_timer_for_copies_comes_with_the_units_if_asked_for(
    installation: Installation, manager: str
) -> None:
    """It runs this queuectl; how it is enabled is told; a later install keeps it."""
    said = installation.ok("install", f"--{manager}", "--backup")
    (unit,) = installation.image.rglob(COPIES[0])
    assert program(unit.read_text()) == str(installation.bin / "queuectl")
    assert verified(unit.parent, manager).stderr == ""
    if manager == "system":
        assert said.endswith(f" enable {COPIES[1]}\n")
    unit.write_text(unit.read_text().replace("--keep 7", "--keep 8"))
    assert "was changed" in installation.refused("install", f"--{manager}")
    installation.ok("install", f"--{manager}", "--force")
    installation.ok("uninstall", f"--{manager}")
    assert not list(installation.image.rglob("queuectl*.service"))
    assert not list(installation.image.rglob("queuectl*.timer"))


def test_without_being_asked_for_there_is_no_timer(installation: Installation) -> None:
    """Copies take room, and where they go is somebody's decision."""
    installation.ok("install", "--system")
    assert not list(installation.image.rglob("*.timer"))
