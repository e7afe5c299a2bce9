"""The systemd to install for: what runs there, and the commands to type for it.

Changes nothing.
"""

import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import click

from queuectl.cli.systemd import unit_files
from queuectl.cli.systemd.unit_files import SERVICE, SOCKET, UNITS, Manager

ROOT = Path("/")

ASKING_LIMIT = 10.0
"""Seconds for an answer of systemctl; without a manager it fails at once."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is installed to, or removed from.

    Attributes:
        manager: which systemd.
        root: where its file system begins: ``/``, or an image's directory.
    """

    manager: Manager
    root: Path

    def actual(self, path: Path) -> Path:
        """Return where a path of that system is on this one.

        Raises:
            click.ClickException: a link leads out of the image.
        """
        if self.root == ROOT:
            return path
        inside = self.root / path.relative_to("/")
        if not inside.parent.resolve().is_relative_to(self.root.resolve()):
            raise click.ClickException(f"{inside.parent} is a link out of {self.root}")
        return inside

    @property
    def where(self) -> list[str]:
        """The options that select the root, for systemd's tools."""
        return [] if self.root == ROOT else [f"--root={self.root}"]

    def systemctl(self, *arguments: str) -> str:
        """Return a systemctl command for this manager."""
        user = ["--user"] if self.manager is Manager.USER else []
        return " ".join(["systemctl", *user, *arguments])

    def is_active(self) -> bool:
        """Tell whether a unit of queuectl is active. In an image none is."""
        if self.root != ROOT or not shutil.which("systemctl"):
            return False
        known = (*UNITS, unit_files.JOBS, unit_files.BACKUP[1])
        command = self.systemctl("is-active", "--quiet", *known).split()
        with suppress(OSError, subprocess.TimeoutExpired):
            asked = subprocess.run(  # noqa: S603 - our own words
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=ASKING_LIMIT,
                check=False,
            )
            return asked.returncode == 0
        return False

    def is_enabled(self) -> bool:
        """Tell whether a unit of queuectl is enabled: then there are links to it."""
        directory = self.actual(unit_files.directory(self.manager))
        # In an image a link seems broken, as its target is a path of the image. A
        # pattern such as *.wants/NAME does not find broken links.
        names = (*UNITS, unit_files.BACKUP[1])
        links = (wants / name for wants in directory.glob("*.wants") for name in names)
        return any(link.is_symlink() for link in links)

    def _has_timer(self) -> bool:
        directory = unit_files.directory(self.manager)
        return self.actual(directory / unit_files.BACKUP[1]).exists()

    def check_at_rest(self) -> None:
        """Make sure that no unit runs, or will run at the next boot.

        Raises:
            click.ClickException: one does; the message says what to do first.
        """
        if self.is_active():
            state = "is active"
        elif self.is_enabled():
            state = "is enabled"
        else:
            return
        now = ["--now"] if self.root == ROOT else []
        timer = [unit_files.BACKUP[1]] if self._has_timer() else []
        command = self.systemctl(*self.where, "disable", *now, *timer, *UNITS)
        raise click.ClickException(f"{SERVICE} {state}; first: {command}")

    def to_start(self, *, backup: bool) -> list[str]:
        """Return the commands that start the service after its units were written.

        Args:
            backup: with the timer of backups.
        """
        commands = self._to_start()
        if backup:
            now = ["--now"] if self.root == ROOT else []
            enable = self.systemctl(*self.where, "enable", *now, unit_files.BACKUP[1])
            commands.append(enable)
        return commands

    def _to_start(self) -> list[str]:
        system = self.manager is Manager.SYSTEM
        if self.root != ROOT:
            enable = self.systemctl(*self.where, "enable", SOCKET, SERVICE)
            users = " ".join(["systemd-sysusers", *self.where])
            return [users, enable] if system else []
        commands = ["systemd-sysusers"] if system else []
        commands.append(self.systemctl("daemon-reload"))
        if self.is_active():
            return [*commands, self.systemctl("restart", SERVICE)]
        if not system:
            commands += _stop_own_daemon()
        commands.append(self.systemctl("enable", "--now", SOCKET, SERVICE))
        return commands if system else [*commands, "loginctl enable-linger"]

    def to_forget(self) -> list[str]:
        """Return the commands that make systemd forget removed units."""
        return [self.systemctl("daemon-reload")] if self.root == ROOT else []


def _stop_own_daemon() -> list[str]:
    """Return the command that stops a daemon which the command line has started."""
    runs = Path(unit_files.user_paths().socket).exists()
    return (
        ["queuectl --user daemon stop"]
        if runs and not unit_files.leading_elsewhere()
        else []
    )
