"""The copy of a database that is kept before its schema becomes a newer one.

An older program cannot read the newer schema: whoever goes back to it has this copy,
with everything up to the upgrade. A few copies are kept, beside the database.
"""

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from queuectl_protocol.version import __version__
from queuectld.host import logs
from queuectld.store.api import BackupError, StoreFullError, StoreOpenError
from queuectld.store.sqlite import maintenance

KEPT = 3
"""Copies, the newest by when they were made: each is as large as a database."""

_NAME = "queuectl-schema-{schema}-before-{version}.db"
_NAMED = re.compile(r"queuectl-schema-(?P<schema>\d+)-before-(?P<version>\S+)\.db")

_events = logs.get("store")


def keep_copy(connection: sqlite3.Connection, path: Path, schema: int) -> None:
    """Copy the database before it is migrated from the schema of this version.

    Raises:
        StoreOpenError: there can be no copy; nothing was changed.
    """
    target = path.with_name(_NAME.format(schema=schema, version=__version__))
    try:
        size = maintenance.copy(connection, target, replace=True)
    except (StoreFullError, BackupError, sqlite3.Error) as error:
        raise StoreOpenError(_refusal(path, target, error)) from error
    _events.warning("database_copied", path=target, size=size, schema=schema)
    for old in _copies(path.parent)[KEPT:]:
        old.unlink(missing_ok=True)
        _events.info("old_copy_removed", path=old)


def way_back(path: Path, known: int) -> str:
    """Return what to do about a database that is too new; a clause for a person.

    Args:
        path: the database.
        known: the newest schema that this program can read.
    """
    named = [(copy, _NAMED.fullmatch(copy.name)) for copy in _copies(path.parent)]
    versions = {match["version"]: None for _, match in named if match}
    versions.pop(__version__, None)  # of an upgrade to this program, which is older
    newer = f"queuectld {next(iter(versions))}" if versions else "the newer queuectld"
    usable = [copy for copy, match in named if match and int(match["schema"]) <= known]
    if not usable:
        return f"Install {newer} or a later one, or restore a backup that is older"
    return (
        f"Install {newer} or a later one; or restore {usable[0]}, the copy made at the "
        "upgrade, which has nothing that happened since"
    )


def _copies(folder: Path) -> list[Path]:
    """Return all copies, the newest first."""
    return sorted(_there(folder), key=lambda copy: copy.stat().st_mtime, reverse=True)


def _there(folder: Path) -> Iterator[Path]:
    for each in folder.iterdir():
        if _NAMED.fullmatch(each.name) and each.is_file() and not each.is_symlink():
            yield each


def _refusal(path: Path, target: Path, error: Exception) -> str:
    full = isinstance(error, StoreFullError) or (
        getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL
    )
    size = path.stat().st_size // 2**20 + 1
    why = f"there is no room for it: about {size} MiB" if full else f"{error}"
    return (
        f"the database {path} is of an older queuectl, and is copied to {target} "
        f"before it is brought up to date, but {why}. It was left as it is; make room "
        "and start again, or install the older version again"
    )
