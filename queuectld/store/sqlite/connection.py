"""Opens the database: pragmas, identity, migrations, and what is refused.

Nothing is overwritten, repaired or replaced here: a file of another program, or one
that is not readable, or newer than this program, is left as it is, with an error that
says so.
"""

import os
import sqlite3
from collections.abc import Callable
from importlib import resources
from pathlib import Path

from queuectld.store.api import (
    StoreError,
    StoreFullError,
    StoreOpenError,
    StoreTooNewError,
)

APPLICATION_ID = 0x71756374
"""'quct', in the database's header: marks the files of queuectld."""

ROOM_TO_OPEN = 128 * 1024
"""Bytes. The index of the log alone takes 32 KiB."""

JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")

WRITER_CACHE_KIB = 5120
READER_CACHE_KIB = 2048

AUTOCHECKPOINT_PAGES = 4000
"""About 16 MB of log. Checkpoints between bursts come from the daemon's timer."""

PATIENCE_MS = 5000
"""Milliseconds that the writer's thread waits for the lock of another process, such as
an operator's sqlite3. The daemon's own connections hold none."""

LOG_KEPT = 16 * 1024 * 1024
"""Bytes that the log keeps when it begins anew."""


Preparation = Callable[[sqlite3.Connection, Path, int], None]
"""What is done before the first step of a migration from the version it is given."""


def open_writer(
    path: Path, before_migration: Preparation | None = None
) -> sqlite3.Connection:
    """Open, or create, and migrate; return the one connection that writes.

    Args:
        path: the database's file.
        before_migration: not called for a database that is new, or of this version.

    Raises:
        StoreOpenError: the file cannot be used; it was not changed.
    """
    try:
        _look(path)
        connection = _connect(path)
        try:
            _identify(connection, path)
            _configure(connection)
            version = _version(connection)
            if before_migration and 0 < version < schema_version():
                before_migration(connection, path, version)
            migrate(connection)
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise unusable(path, error) from error
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """Return a connection that cannot write, to a database that is open already."""
    connection = _connect(path)
    connection.execute("PRAGMA query_only = 1")
    connection.execute(f"PRAGMA cache_size = -{READER_CACHE_KIB}")
    return connection


def open_for_maintenance(path: Path) -> sqlite3.Connection:
    """Return a connection that reads for long from a database that is open already.

    Not ``query_only``, which forbids VACUUM INTO. It cannot write all the same, and
    so never has a checkpoint to make.
    """
    uri = f"{path.absolute().as_uri()}?mode=ro"
    return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)


def set_patience(connection: sqlite3.Connection, *, patient: bool) -> None:
    """Wait for the locks of other processes from now on, or fail at once."""
    connection.execute(f"PRAGMA busy_timeout = {PATIENCE_MS if patient else 0}")


def schema_version() -> int:
    """Return the version that this program writes."""
    return len(_migrations())


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the schema up to this program's version, a transaction for each step."""
    version = _version(connection)
    for number, script in enumerate(_migrations()[version:], version + 1):
        connection.executescript(
            f"BEGIN IMMEDIATE;\n{script}\n"
            f"PRAGMA application_id = {APPLICATION_ID};\n"
            f"PRAGMA user_version = {number};\nCOMMIT;"
        )


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def unusable(path: Path, error: sqlite3.Error) -> StoreOpenError:
    """Return the error for a file that SQLite cannot work with."""
    if _is_full(path.parent):
        # SQLite says "disk I/O error" when it is the log's index that does not fit.
        return StoreOpenError(
            f"cannot open the database {path}: there is no room left on its disk; "
            "free some space and try again"
        )
    return StoreOpenError(
        f"cannot open the database {path}: {error}. It was left as it is; "
        "if it is damaged, restore a backup in its place"
    )


def _is_full(folder: Path) -> bool:
    try:
        free = os.statvfs(folder)
    except OSError:
        return False
    return free.f_bavail * free.f_frsize < ROOM_TO_OPEN


def translate(error: Exception) -> StoreError:
    """Return the store's error for one of SQLite's."""
    code = getattr(error, "sqlite_errorcode", None)
    primary = None if code is None else code & 0xFF
    if primary == sqlite3.SQLITE_FULL:
        return StoreFullError(
            "there is no room left for the database; free some space and try again"
        )
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    return StoreError(f"the database answered {name}: {error}")


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, cached_statements=256
    )


def _look(path: Path) -> None:
    """Refuse a file of another program before anything is opened for writing.

    A writer that closes moves the log into the database, whosever file it is.
    """
    if not path.is_file() or not path.stat().st_size or _unborn(path):
        return
    # Without a log nothing at all is created beside the file.
    log = path.with_name(path.name + "-wal").exists()
    uri = f"{path.absolute().as_uri()}?{'mode=ro' if log else 'immutable=1'}"
    connection = sqlite3.connect(uri, uri=True)
    try:
        _identify(connection, path)
    finally:
        connection.close()


def _unborn(path: Path) -> bool:
    """Return whether the machine died while the file was being created.

    Then its content means nothing. SQLite empties it again by the journal beside it,
    which says that the file had no pages before: sqlite.org/fileformat2.html, 3.
    """
    try:
        with path.with_name(path.name + "-journal").open("rb") as journal:
            header = journal.read(20)
    except FileNotFoundError:
        return False
    return header[:8] == JOURNAL_MAGIC and header[16:20] == bytes(4)


def _identify(connection: sqlite3.Connection, path: Path) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    version = _version(connection)
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if application == 0 and version == 0 and tables == 0:
        return
    if application != APPLICATION_ID:
        raise StoreOpenError(
            f"{path} is a SQLite database of another program; it was left as it is. "
            "Move it away, or choose another state directory"
        )
    if version > schema_version():
        raise StoreTooNewError(
            f"{path} has schema version {version}, and this queuectld knows up to "
            f"{schema_version()}; it was left as it is"
        )


def _configure(connection: sqlite3.Connection) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise StoreOpenError(
            "the file system does not support SQLite's WAL (a network file system?); "
            "choose a state directory on a local disk"
        )
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA cache_size = -{WRITER_CACHE_KIB}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {AUTOCHECKPOINT_PAGES}")
    connection.execute(f"PRAGMA journal_size_limit = {LOG_KEPT}")


def _migrations() -> list[str]:
    folder = resources.files(__package__).joinpath("migrations")
    files = sorted(f.name for f in folder.iterdir() if f.name.endswith(".sql"))
    return [folder.joinpath(name).read_text("utf-8") for name in files]
