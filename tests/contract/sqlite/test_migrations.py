"""How the SQLite store brings a file to the schema of this program."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers.databases import ask, files, open_and_close
from queuectl_protocol.paths import DATABASE_SCHEMA
from queuectld.core.job import Job
from queuectld.store.api import StoreOpenError, StoreTooNewError
from queuectld.store.sqlite import connection, maintenance, premigration
from queuectld.store.sqlite.connection import schema_version


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give the place of a database."""
    return tmp_path / "queuectl.db"


@pytest.mark.parametrize(
    "make",
    [
        lambda _: None,
        Path.touch,
        lambda path: ask(path, "PRAGMA journal_mode = WAL"),
    ],
    ids=["no file", "an empty file", "a beginning cut short"],
)
def test_a_new_database_gets_the_current_schema(
    path: Path, make: Callable[[Path], object]
) -> None:
    """From nothing, and from what a first start that was killed leaves."""
    make(path)
    open_and_close(path, jobs=1)
    assert ask(path, "PRAGMA user_version") == [(schema_version(),)]
    assert ask(path, "PRAGMA integrity_check") == [("ok",)]
    assert ask(path, "SELECT count(*) FROM jobs") == [(1,)]


def test_opening_again_changes_nothing(path: Path) -> None:
    """A restart without work writes nothing."""
    open_and_close(path, jobs=2)
    before = files(path)
    for _ in range(2):
        open_and_close(path)
    assert files(path) == before


def test_migrations_are_numbered_without_gaps() -> None:
    """0001, 0002 ...: a version is the number of the last one."""
    folder = Path(connection.__file__).parent / "migrations"
    numbers = sorted(file.name[:4] for file in folder.glob("*.sql"))
    assert numbers == [f"{n + 1:04}" for n in range(schema_version())]
    assert schema_version() == DATABASE_SCHEMA, "what doctor compares with"


def test_the_columns_of_a_job_are_in_the_order_of_its_fields(path: Path) -> None:
    """Rows are read and written by position."""
    open_and_close(path)
    columns = ask(path, "SELECT name FROM pragma_table_info('jobs') ORDER BY cid")
    assert tuple(name for (name,) in columns) == Job._fields


def test_a_migration_runs_once_and_keeps_the_jobs(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older database gets the steps that it lacks, and only those."""
    open_and_close(path, jobs=2)
    steps = [*connection._migrations(), "CREATE TABLE later (x TEXT) STRICT;"]
    monkeypatch.setattr(connection, "_migrations", lambda: steps)
    for _ in range(2):
        open_and_close(path, jobs=1)
    assert ask(path, "PRAGMA user_version") == [(len(steps),)]
    assert ask(path, "SELECT count(*) FROM later") == [(0,)]
    assert ask(path, "SELECT count(*) FROM jobs") == [(4,)]


def test_a_migration_that_fails_leaves_the_older_schema(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole or not at all; the steps before it stay, and the jobs."""
    open_and_close(path, jobs=2)
    good, bad = "CREATE TABLE good (x TEXT) STRICT;", "CREATE TABLE good (x TEXT);"
    steps = [*connection._migrations(), good, f"CREATE TABLE part (x TEXT);\n{bad}"]
    with monkeypatch.context() as patched:
        patched.setattr(connection, "_migrations", lambda: steps)
        with pytest.raises(StoreOpenError, match="already exists"):
            open_and_close(path)
    assert ask(path, "PRAGMA user_version") == [(len(steps) - 1,)]
    names = {name for (name,) in ask(path, "SELECT name FROM sqlite_schema")}
    assert "good" in names
    assert "part" not in names
    assert ask(path, "SELECT count(*) FROM jobs") == [(2,)]
    with pytest.raises(StoreOpenError, match="newer"):
        open_and_close(path)


# -- the copy that is kept -------------------------------------------------------------


def copies(path: Path) -> list[Path]:
    return sorted(path.parent.glob("queuectl-schema-*"))


def migrated(path: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    """Open the database with a program that is newer by one step."""
    step = f"CREATE TABLE step{len(connection._migrations())} (x TEXT) STRICT;"
    steps = [*connection._migrations(), step]
    monkeypatch.setattr(connection, "_migrations", lambda: steps)
    monkeypatch.setattr(premigration, "__version__", version)
    open_and_close(path)


def test_a_copy_of_the_older_database_is_kept_and_told(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whole, by a name that says what it is; for the owner's eyes alone."""
    open_and_close(path, jobs=2)
    assert copies(path) == []
    version = schema_version()
    migrated(path, monkeypatch, "7.0")
    (copy,) = copies(path)
    assert copy.name == f"queuectl-schema-{version}-before-7.0.db"
    assert copy.stat().st_mode & 0o777 == 0o600
    assert ask(copy, "PRAGMA user_version") == [(version,)]
    assert ask(copy, "SELECT count(*) FROM jobs") == [(2,)]
    assert "database_copied" in caplog.text


def test_few_copies_are_kept(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many upgrades the last ones."""
    open_and_close(path, jobs=1)
    first = schema_version()
    for number in range(premigration.KEPT + 2):
        migrated(path, monkeypatch, f"7.{number}")
    schemas = [int(copy.name.split("-")[2]) for copy in copies(path)]
    assert schemas == [first + 2, first + 3, first + 4]


def test_without_room_for_the_copy_nothing_is_migrated(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says how much is needed; the older program still opens it."""
    open_and_close(path, jobs=2)
    before = files(path)
    with monkeypatch.context() as patched:
        full = sqlite3.OperationalError("database or disk is full")
        full.sqlite_errorcode = sqlite3.SQLITE_FULL

        def fail(*_: object, **__: object) -> int:
            raise full

        patched.setattr(maintenance, "copy", fail)
        with pytest.raises(StoreOpenError, match="no room for it: about 1 MiB"):
            migrated(path, patched, "7.0")
    assert files(path) == before
    open_and_close(path)


def test_an_older_program_says_what_leads_back(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The version that has written it, and the copy that this one can read."""
    open_and_close(path, jobs=2)
    with monkeypatch.context() as patched:
        migrated(path, patched, "7.0")
    (copy,) = copies(path)
    with pytest.raises(StoreTooNewError) as caught:
        open_and_close(path)
    assert "Install queuectld 7.0 or a later one; or restore " in str(caught.value)
    assert str(copy) in str(caught.value)
    path.unlink()
    copy.rename(path)
    open_and_close(path)
    assert ask(path, "SELECT count(*) FROM jobs") == [(2,)]
