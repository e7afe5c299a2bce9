"""How the SQLite store opens its file: pragmas, migrations, and what it refuses."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from helpers.asynchronous import asynchronous
from helpers.databases import ask, files, open_and_close
from helpers.stores import add, everything
from queuectld.store.api import StoreError, StoreOpenError
from queuectld.store.sqlite import connection
from queuectld.store.sqlite.connection import APPLICATION_ID, schema_version
from queuectld.store.sqlite.store import SqliteStore

PAGE = 4096


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give the place of a database, in a folder of its own."""
    folder = tmp_path / "state"
    folder.mkdir()
    return folder / "queuectl.db"


# -- what is in force -------------------------------------------------------------


@asynchronous
async def test_the_writer_syncs_every_commit_to_a_log(path: Path) -> None:
    """WAL with synchronous FULL: an acknowledged job survives a power cut."""
    store = SqliteStore(path)
    try:
        for pragma, value in {
            "journal_mode": "wal",
            "synchronous": 2,
            "query_only": 0,
            "mmap_size": 0,
            "application_id": APPLICATION_ID,
            "user_version": schema_version(),
            "wal_autocheckpoint": connection.AUTOCHECKPOINT_PAGES,
            "cache_size": -connection.WRITER_CACHE_KIB,
        }.items():
            found = store._writing.execute(f"PRAGMA {pragma}").fetchone()
            assert (pragma, found) == (pragma, (value,))
    finally:
        await store.close()


@asynchronous
async def test_the_reader_cannot_write(path: Path) -> None:
    """Exactly one connection writes; the other one is refused by SQLite itself."""
    store = SqliteStore(path)
    try:
        job = await add(store)
        assert store._reading.execute("PRAGMA query_only").fetchone() == (1,)
        assert store._reading.execute("PRAGMA mmap_size").fetchone() == (0,)
        with pytest.raises(StoreError, match="readonly"):
            await store.read(
                lambda _: store._reading.execute("DELETE FROM jobs").fetchall()
            )
        assert await everything(store) == [job]
    finally:
        await store.close()


def test_all_tables_are_strict(path: Path) -> None:
    """A column holds what its type says."""
    open_and_close(path)
    tables = ask(
        path,
        "SELECT name, strict FROM pragma_table_list "
        "WHERE schema = 'main' AND name NOT LIKE 'sqlite_%'",
    )
    assert len(tables) == 8
    assert [name for name, strict in tables if not strict] == []


def test_the_file_says_whose_it_is(path: Path) -> None:
    """Tools that read the header see the application's id and the schema's version."""
    open_and_close(path)
    header = path.read_bytes()[:100]
    assert header[68:72] == b"quct"
    assert int.from_bytes(header[60:64]) == schema_version()


def test_closing_leaves_one_file(path: Path) -> None:
    """A closed database is whole without its log: it can be copied."""
    open_and_close(path, jobs=3)
    assert set(files(path)) == {path.name}
    assert not path.with_name(path.name + "-shm").exists()


# -- what is refused ---------------------------------------------------------------


def other_program(path: Path) -> None:
    with closing(sqlite3.connect(path)) as theirs:
        theirs.execute("CREATE TABLE t (x)")
        theirs.execute("INSERT INTO t VALUES (1)")
        theirs.commit()


def version_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as theirs:
        theirs.execute("PRAGMA user_version = 1")


def newer(path: Path) -> None:
    open_and_close(path, jobs=1)
    with closing(sqlite3.connect(path)) as future:
        future.execute(f"PRAGMA user_version = {schema_version() + 1}")


def with_a_log(make: Callable[[Path], None]) -> Callable[[Path], None]:
    """Make it so that it was left by a crash: part of it in the log still."""

    def run(path: Path) -> None:
        source = path.with_name("source")
        make(source)
        with closing(sqlite3.connect(source)) as live:
            live.execute("PRAGMA journal_mode = WAL")
            live.execute("CREATE TABLE in_the_log (x)")
            live.commit()
            for suffix in ("", "-wal"):
                shutil.copy(f"{source}{suffix}", f"{path}{suffix}")
        source.unlink()

    return run


def no_database(path: Path) -> None:
    path.write_text("queuectl = yes\n" * 1000)


def shortened(path: Path) -> None:
    open_and_close(path, jobs=50)
    path.write_bytes(path.read_bytes()[: 5 * PAGE])


def damaged(page: int) -> Callable[[Path], None]:
    """Overwrite a page, the file's header excepted."""

    def run(path: Path) -> None:
        open_and_close(path, jobs=50)
        content = bytearray(path.read_bytes())
        begin = 100 if page == 1 else (page - 1) * PAGE
        content[begin : page * PAGE] = b"\xaa" * (page * PAGE - begin)
        path.write_bytes(content)

    return run


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (other_program, "another program"),
        (version_alone, "another program"),
        (with_a_log(other_program), "another program"),
        (newer, "Install the newer queuectld"),
        (with_a_log(newer), "Install the newer queuectld"),
        (no_database, "restore a backup"),
        (shortened, "restore a backup"),
        (damaged(1), "restore a backup"),
        (damaged(2), "restore a backup"),
        (Path.mkdir, "unable to open"),
    ],
    ids=[
        "another program's",
        "another program's version",
        "another program's after a crash",
        "newer",
        "newer after a crash",
        "no database",
        "shortened",
        "schema damaged",
        "numbers damaged",
        "a directory",
    ],
)
def test_what_cannot_be_used_is_left_as_it_is(
    path: Path, make: Callable[[Path], None], says: str
) -> None:
    """Refused with what to do about it, and not a byte of it changed."""
    make(path)
    before = files(path)
    for _ in range(2):
        with pytest.raises(StoreOpenError, match=says) as caught:
            open_and_close(path)
        assert str(path) in str(caught.value)
        assert files(path) == before


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """Nothing is created in its place."""
    with pytest.raises(StoreOpenError, match="unable to open"):
        open_and_close(tmp_path / "missing" / "queuectl.db")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a b?c#d%41.db", "ü.db", "x&mode=ro.db"])
def test_any_file_name_will_do(tmp_path: Path, name: str) -> None:
    """Characters that mean something in a URI are none in a path."""
    path = tmp_path / name
    for _ in range(2):
        open_and_close(path, jobs=1)
    assert ask(path, "SELECT count(*) FROM jobs") == [(2,)]
    assert {file.name for file in tmp_path.iterdir()} == {name}
