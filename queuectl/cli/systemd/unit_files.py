"""The files of the service: where each goes, and its text for this installation.

Reads the templates and this installation. Writes nothing.
"""

import os
import re
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib import resources
from pathlib import Path

import click

from queuectl.cli.systemd import account_access
from queuectl_protocol.paths import Paths, resolve

PROGRAM = "queuectld"

SERVICE, SOCKET = UNITS = ("queuectld.service", "queuectld.socket")

JOBS = "queuectld-jobs.service"
"""Ends the jobs that a failed service left, when the service is stopped."""

BACKUP = ("queuectl-backup.service", "queuectl-backup.timer")
"""The service and the timer of backups, which are optional."""

EXAMPLE = "queuectld.service.d/local.conf.example"
"""systemd reads only names that end in ``.conf``, so this is an example to copy."""

EXAMPLES = (
    EXAMPLE,
    "queuectld.service.d/privileges.conf.example",
    "queuectld.service.d/strict.conf.example",
    "queuectld.service.d/submitter.conf.example",
)
"""The examples for the machine's systemd; a user's has only the first one."""

CONFIGURATION = Path("/etc/queuectl/queuectld.toml")

STATE = Path("/var/lib/queuectl")

UNQUOTABLE = r"""["'\\]"""
"""Characters that the path of a program in a unit cannot contain, even quoted."""

NAMED = re.compile(
    r"(?m)^(Exec\w+=(?P<shell>-?sh -c '[^']*' )?)\S*\b(?P<name>queuectld?)(?=\s)"
)
"""A program of queuectl in a unit: the first word, or the one after a shell script."""

XDG = ("XDG_STATE_HOME",)


class Manager(StrEnum):
    """Which systemd: that of the machine, or that of one user."""

    SYSTEM = "system"
    USER = "user"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file goes, and where its text comes from.

    Attributes:
        path: on the system that is installed to.
        template: its path among the templates.
        configuration: it belongs to the administrator as soon as it exists.
    """

    path: Path
    template: str
    configuration: bool = False


def places(manager: Manager, *, backup: bool) -> list[Place]:
    """Return the places of all files, in the order in which they are written.

    Args:
        manager: whose units.
        backup: with the units of backups.
    """
    units = directory(manager)
    names = (*UNITS, JOBS, *(BACKUP if backup else ()))
    if manager is Manager.USER:
        example = Place(units / EXAMPLE, EXAMPLE)
        return [example, *(Place(units / name, f"user/{name}") for name in names)]
    return [
        Place(CONFIGURATION, CONFIGURATION.name, configuration=True),
        Place(Path("/etc/sysusers.d/queuectl.conf"), "sysusers.d/queuectl.conf"),
        *(Place(units / name, name) for name in (*EXAMPLES, *names)),
    ]


def directory(manager: Manager) -> Path:
    """Return the directory of the administrator's units. See systemd.unit(5)."""
    if manager is Manager.SYSTEM:
        return Path("/etc/systemd/system")
    base = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    if not base.is_absolute():
        base = _home() / ".config"
    return base / "systemd" / "user"


def left(manager: Manager) -> list[Path]:
    """Return what is left when the units are removed."""
    if manager is Manager.SYSTEM:
        return [CONFIGURATION, STATE]
    return [Path(user_paths().state_dir)]


def leading_elsewhere() -> list[str]:
    """Return the variables set here that select another queue than the service's."""
    return [
        name for name in ("QUEUECTL_HOME", "QUEUECTL_SOCKET") if os.environ.get(name)
    ]


def user_paths() -> Paths:
    """Return the paths of a user's service."""
    known = {name: os.environ[name] for name in XDG if name in os.environ}
    return resolve(known, str(_home()))


def text(place: Place, program: Path) -> str:
    """Return the text of a file, with the paths of the programs filled in."""
    template = _templates().joinpath(*place.template.split("/"))

    def named(match: re.Match[str]) -> str:
        path = _quoted(str(program.with_name(match["name"])))
        # In an argument, unlike in the first word, a dollar begins a variable.
        return match[1] + (path.replace("$", "$$") if match["shell"] else path)

    return NAMED.sub(named, template.read_text("utf-8"))


def program(manager: Manager) -> Path:
    """Return the path of this installation's ``queuectld``.

    Raises:
        click.ClickException: there is none, or the service could not run it.
    """
    found = next(filter(_runs, _candidates()), None)
    if found is None:
        where = next(_candidates()).parent
        raise click.ClickException(
            f"there is no {PROGRAM} in {where}, beside this queuectl; install the "
            "package whole, for example: pipx install queuectld"
        )
    if not str(found).isprintable() or re.search(UNQUOTABLE, str(found)):
        raise click.ClickException(
            f"no unit file can name {found}, because of the characters in it; install "
            "queuectl in another directory"
        )
    if manager is Manager.SYSTEM:
        account_access.check(found)
    return found


def _candidates() -> Iterator[Path]:
    """Yield where the program may be: first, beside the command as it was typed.

    That path, such as /usr/local/bin or ~/.local/bin, is known to its user and outlives
    the directory that a link there points to.
    """
    command = Path(os.path.abspath(sys.argv[0]))  # noqa: PTH100 - keeps the link
    if command.name == "queuectl":
        yield command.with_name(PROGRAM)
        yield command.resolve().with_name(PROGRAM)
    else:  # python -m queuectl
        yield Path(sysconfig.get_path("scripts"), PROGRAM)


def _runs(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


def _quoted(path: str) -> str:
    """Return a path as a word of a command in a unit. See systemd.service(5)."""
    path = path.replace("%", "%%")
    return f'"{path}"' if " " in path else path


def _home() -> Path:
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - pathlib's raises
    if not home.is_absolute():
        raise click.ClickException("it is not known where your home is; set HOME")
    return home


def _templates() -> resources.abc.Traversable:
    """Return the templates' directory: in the package, or beside it in a checkout."""
    package = resources.files("queuectl")
    installed = package / "systemd"
    return installed if installed.is_dir() else package / ".." / "systemd"
