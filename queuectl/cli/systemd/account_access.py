"""Checks that the account of the system's service can run this installation.

Otherwise the service would fail with status 203/EXEC, which gives no reason. Changes
nothing.
"""

import importlib.util
import os
import pwd
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import click

ACCOUNT = "queuectl"
"""The user of the service, which may not exist yet."""

HOMES = ("/root", "/home", "/run/user")
"""What ``ProtectHome=`` hides. See systemd.exec(5)."""

MODULES = ("queuectl", "queuectl_protocol", "queuectld", "click", "msgpack", "psutil")
"""What the daemon and its commands import besides the standard library."""

_READ, _RUN = 4, 1


def check(program: Path) -> None:
    """Check the program and all that it imports.

    Raises:
        click.ClickException: it names a path without access, and says what to do.
    """
    for path in _needed(program):
        for each in (path, path.resolve()):
            _check_home(each)
    whose = _identity()
    for path in _needed(program):
        for each in (path, path.resolve()):
            _check_modes(each, whose, runs=path in (program, _python()))


def _needed(program: Path) -> Iterator[Path]:
    yield program
    yield _python()
    yield Path(os.__file__)
    for name in MODULES:
        found = importlib.util.find_spec(name)
        if found is not None and found.origin is not None:
            yield Path(found.origin)


def _python() -> Path:
    return Path(sys.executable)


def _check_home(path: Path) -> None:
    if any(path.is_relative_to(home) for home in _homes()):
        raise click.ClickException(
            f"the system's service cannot run {path}: it has a user of its own and "
            "sees nobody's home; install queuectl elsewhere, in /opt for example, "
            "with a Python that is in no home either, or use --user"
        )


def _homes() -> Iterator[Path]:
    for home in map(Path, HOMES):
        yield home
        yield home.resolve()  # on some systems /home is a link to /var/home


def _identity() -> tuple[int, frozenset[int]]:
    """Return uid and groups of the account; if it does not exist, of no user."""
    try:
        known = pwd.getpwnam(ACCOUNT)
    except KeyError:
        return -1, frozenset()
    return known.pw_uid, frozenset(os.getgrouplist(ACCOUNT, known.pw_gid))


def _check_modes(path: Path, whose: tuple[int, frozenset[int]], *, runs: bool) -> None:
    for folder in reversed(path.parents):
        if not _may(folder, whose, _RUN):
            raise _refusal(folder, "enter")
    if not _may(path, whose, _READ):
        raise _refusal(path, "read")
    if runs and not _may(path, whose, _RUN):
        raise _refusal(path, "run")


def _may(path: Path, whose: tuple[int, frozenset[int]], wanted: int) -> bool:
    """Tell whether the mode of a path permits this, to owner, group or others."""
    uid, groups = whose
    found = path.stat()
    mode = stat.S_IMODE(found.st_mode)
    if found.st_uid == uid:
        mode >>= 6
    elif found.st_gid in groups:
        mode >>= 3
    return bool(mode & wanted)


def _refusal(path: Path, verb: str) -> click.ClickException:
    inside = path.is_relative_to(sys.prefix) and sys.prefix != sys.base_prefix
    mend = f"chmod -R a+rX {sys.prefix}" if inside else f"chmod a+rX {path}"
    return click.ClickException(
        f"the system's service runs as the user {ACCOUNT}, who may not {verb} {path} "
        f"(mode {stat.S_IMODE(path.stat().st_mode):04o}), perhaps since it was "
        f"installed under a strict umask; mend it, then install again: {mend}"
    )
