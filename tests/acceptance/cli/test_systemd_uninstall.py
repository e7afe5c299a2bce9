"""``systemd uninstall``: what it removes, what it leaves, and when it refuses."""

import os
import shutil
import subprocess

import pytest

from helpers.installation import SERVICE, SYSTEM, Installation, needs_systemctl


def test_uninstall_removes_what_install_wrote_and_no_more(
    installation: Installation,
) -> None:
    """Drop-ins, configuration and state stay, and it says so of what is queuectl's."""
    installation.ok("install", "--system")
    state = installation.image / "var/lib/queuectl"
    state.mkdir(parents=True)
    (state / "queuectl.db").write_text("jobs")
    mine = installation.image / "etc/systemd/system/queuectld.service.d/mine.conf"
    mine.write_text("[Service]\nNice=5\n")
    said = installation.ok("uninstall", "--system")
    kept = {SYSTEM[0], "var/lib/queuectl/queuectl.db"}
    assert set(installation.files()) == {
        *kept,
        str(mine.relative_to(installation.image)),
    }
    assert f"left     {state}\n" in said
    mine.unlink()
    assert installation.ok("uninstall", "--system").startswith(
        "there is nothing to remove\n"
    )


def test_uninstall_leaves_no_directory_of_drop_ins(installation: Installation) -> None:
    """The one that install made for the examples."""
    installation.ok("install", "--system")
    installation.ok("uninstall", "--system")
    assert list((installation.image / "etc/systemd/system").iterdir()) == []


@needs_systemctl
def test_an_enabled_service_is_not_taken_away(installation: Installation) -> None:
    """The command that it names first makes it possible."""
    enable = installation.ok("install", "--system").splitlines()[-1].split()
    subprocess.run(enable, capture_output=True, check=True)
    said = installation.refused("uninstall", "--system")
    assert said.startswith("queuectld.service is enabled; first: systemctl --root=")
    assert SERVICE in installation.files()
    disable = said.partition("first: ")[2].split()
    subprocess.run(disable, capture_output=True, check=True)
    installation.ok("uninstall", "--system")


@pytest.fixture
def running(installation: Installation) -> Installation:
    """A user's installation whose systemctl says that the service is active.

    A stand-in: a user's systemd is not to be had in a test.
    """
    fake = installation.home / "systemctl"
    fake.write_text('#!/bin/sh\n[ "$1 $2" = "--user is-active" ]\n')
    fake.chmod(0o755)
    return installation


def test_a_service_that_runs_is_to_be_stopped_first(running: Installation) -> None:
    """Uninstall refuses; install tells to restart it."""
    path = f"{running.home}:{os.environ['PATH']}"
    installed = running.run("install", "--user", PATH=path)
    assert installed.stdout.endswith("systemctl --user restart queuectld.service\n")
    refused = running.run("uninstall", "--user", PATH=path)
    assert refused.returncode == 1
    assert refused.stderr == (
        "queuectl: queuectld.service is active; first: "
        "systemctl --user disable --now queuectld.service queuectld.socket\n"
    )
    assert (running.home / ".config/systemd/user/queuectld.service").exists()


@pytest.mark.parametrize("name", ["QUEUECTL_HOME", "QUEUECTL_SOCKET"])
def test_a_variable_that_leads_elsewhere_is_mentioned(
    installation: Installation, name: str
) -> None:
    """With it commands would not find the user's service, nor stop the right daemon."""
    state = installation.home / ".local/state/queuectl"
    state.mkdir(parents=True)
    (state / "queuectl.sock").touch()
    variables = {
        "PATH": f"{installation.home}:{os.environ['PATH']}",
        name: "/elsewhere",
    }
    (installation.home / "systemctl").symlink_to(shutil.which("false") or "/bin/false")
    done = installation.run("install", "--user", **variables)
    assert done.returncode == 0
    assert done.stderr.startswith(f"{name} is set here, ")
    assert "daemon stop" not in done.stdout
    left = installation.run("uninstall", "--user", **variables).stdout
    assert f"left     {state}\n" in left
