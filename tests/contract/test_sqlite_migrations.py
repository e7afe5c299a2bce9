"""How the SQLite store brings a file to the schema of this program."""

from collections.abc import Callable
from pathlib import Path

import pytest

from helpers.databases import ask, files, open_and_close
from queuectl_protocol.paths import DATABASE_SCHEMA
from queuectld.store.api import StoreOpenError
from queuectld.store.sqlite import connection
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
    with pytest.raises(StoreOpenError, match="Install the newer queuectld"):
        open_and_close(path)
