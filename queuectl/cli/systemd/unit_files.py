"""What a service of systemd consists of: which files, where, and with which program.

Reads the templates and looks at this installation. Writes nothing.
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
"""Ends what the service leaves when it has failed, once somebody stops it."""

BACKUP = ("queuectl-backup.service", "queuectl-backup.timer")
"""Copies of the database, for whoever wants them."""

EXAMPLE = "queuectld.service.d/local.conf.example"
"""Systemd reads what ends in ``.conf``, so this is for people until it is copied."""

EXAMPLES = (
    EXAMPLE,
    "queuectld.service.d/privileges.conf.example",
    "queuectld.service.d/strict.conf.example",
    "queuectld.service.d/submitter.conf.example",
)
"""Those for the machine's systemd. What the others are about a user's has not."""

CONFIGURATION = Path("/etc/queuectl/queuectld.toml")

STATE = Path("/var/lib/queuectl")

UNSPEAKABLE = r"""["'\\]"""
"""What the name of a program cannot contain in a unit, however it is quoted."""


NAMED = re.compile(
    r"(?m)^(Exec\w+=(?P<shell>-?sh -c '[^']*' )?)\S*\b(?P<name>queuectld?)(?=\s)"
)
"""Where a unit names a program of ours: first, or first after a script of the shell."""

XDG = ("XDG_STATE_HOME",)


class Manager(StrEnum):
    """Which systemd: that of the machine, or that of one user."""

    SYSTEM = "system"
    USER = "user"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file goes, and where its text comes from.

    Attributes:
        path: as the running system names it.
        template: its path among the templates.
        configuration: it is its administrator's as soon as it is there.
    """

    path: Path
    template: str
    configuration: bool = False


def places(manager: Manager, *, backup: bool) -> list[Place]:
    """Return where everything goes, in the order in which it is written.

    Args:
        manager: whose units.
        backup: with those that make copies.
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
    """Return where its administrator's units are. See systemd.unit(5)."""
    if manager is Manager.SYSTEM:
        return Path("/etc/systemd/system")
    base = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    if not base.is_absolute():
        base = _home() / ".config"
    return base / "systemd" / "user"


def left(manager: Manager) -> list[Path]:
    """Return what is not a unit's, and so stays when the units go."""
    if manager is Manager.SYSTEM:
        return [CONFIGURATION, STATE]
    return [Path(user_paths().state_dir)]


def elsewhere() -> list[str]:
    """Return variables that say where commands look; systemd does not know them."""
    return [
        name for name in ("QUEUECTL_HOME", "QUEUECTL_SOCKET") if os.environ.get(name)
    ]


def user_paths() -> Paths:
    """Return where a user's service keeps what."""
    known = {name: os.environ[name] for name in XDG if name in os.environ}
    return resolve(known, str(_home()))


def text(place: Place, program: Path) -> str:
    """Return the text of a file, with the programs in it where they are named."""
    template = _templates().joinpath(*place.template.split("/"))

    def named(match: re.Match[str]) -> str:
        path = _quoted(str(program.with_name(match["name"])))
        # In an argument, unlike in the first word, a dollar begins a variable.
        return match[1] + (path.replace("$", "$$") if match["shell"] else path)

    return NAMED.sub(named, template.read_text("utf-8"))


def program(manager: Manager) -> Path:
    """Return the ``queuectld`` of this installation.

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
    if not str(found).isprintable() or re.search(UNSPEAKABLE, str(found)):
        raise click.ClickException(
            f"no unit file can name {found}, because of the characters in it; install "
            "queuectl in another directory"
        )
    if manager is Manager.SYSTEM:
        account_access.check(found)
    return found


def _candidates() -> Iterator[Path]:
    """Yield where the program may be: beside the command as it was typed, first.

    That path, say /usr/local/bin or ~/.local/bin, is one that its user knows, and
    outlives the directory that a link there points to.
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
    """Return where the templates are: in the package, or beside it in a checkout."""
    package = resources.files("queuectl")
    installed = package / "systemd"
    return installed if installed.is_dir() else package / ".." / "systemd"
