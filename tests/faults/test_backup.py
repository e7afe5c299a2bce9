"""Copies of the database: made while jobs run, refused where they would do harm."""

import asyncio
import json
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from helpers.home import Home, a_home
from helpers.stores import add
from queuectl import Client
from queuectl.aio.client import AsyncClient
from queuectl.errors import AlreadyExistsError, InvalidParamsError
from queuectld.store.api import BackupError, BackupExistsError, StoreError
from queuectld.store.sqlite.store import SqliteStore


@pytest.fixture
def home() -> Iterator[Home]:
    """Give a home in which a daemon runs."""
    with a_home() as home:
        home.serve()
        yield home


def whole(copy: Path) -> bool:
    """Whether SQLite finds nothing wrong with a copy."""
    with closing(sqlite3.connect(copy)) as database:
        return database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def ids(copy: Path) -> set[str]:
    """Return the ids of the jobs in a copy."""
    with closing(sqlite3.connect(copy)) as database:
        found = database.execute("SELECT coalesce(name, seq) FROM jobs").fetchall()
    return {str(job_id) for (job_id,) in found}


# -- made ---------------------------------------------------------------------------


def test_a_copy_is_consistent_while_jobs_run(home: Home) -> None:
    """It holds every job acknowledged before the copy was requested, and is whole."""
    home.configure(max_retries="0")
    home.ask("workers.start", count=2)
    acknowledged: set[str] = set()
    over = threading.Event()

    def feed() -> None:
        with home.connect() as client:
            while not over.is_set():
                job = client.call("enqueue", job={"command": "true"})["job"]
                acknowledged.add(job["id"])

    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        for number in range(5):
            before = set(acknowledged)
            copy = home.work / f"copy-{number}.db"
            reply = home.ask("backup", path=str(copy))
            assert reply == {"path": str(copy), "size": copy.stat().st_size}
            assert copy.stat().st_mode & 0o777 == 0o600
            assert whole(copy)
            assert before <= ids(copy)
    finally:
        over.set()
        feeder.join()
    assert not list(home.work.glob(".queuectl-*"))


def test_the_command_says_where_the_copy_is(home: Home) -> None:
    """A relative path is the caller's; --force replaces; --json is for programs."""
    home.enqueue("true")
    size = home.ctl("backup", "copy.db").removeprefix(f"{home.work}/copy.db: ")
    assert size.endswith("KiB")
    done = home.run("backup", "copy.db")
    assert done.returncode == 1
    assert done.stderr == (
        f"queuectl: {home.work}/copy.db exists already, and was left as it is; "
        "--force replaces it\n"
    )
    assert '"size": ' in home.ctl("backup", "--force", "--json", "copy.db")
    assert ids(home.work / "copy.db") == {"1"}


def test_python_programs_make_copies(home: Home) -> None:
    """Both clients make copies, and raise an error when something prevents it."""
    first, second = home.work / "first.db", home.work / "second.db"
    with Client(str(home.socket)) as client:
        made = client.backup(first)
        assert (made.path, made.size) == (str(first), first.stat().st_size)
        with pytest.raises(AlreadyExistsError, match=r"first\.db exists already"):
            client.backup(first)
        assert client.backup(first, replace=True).size == made.size
        with pytest.raises(InvalidParamsError, match="there is no directory"):
            client.backup(home.work / "missing" / "copy.db")
        levels = {check.name: check.level for check in client.doctor(deep=True)}
        assert levels["database"] == "ok"

    async def run() -> None:
        async with AsyncClient(str(home.socket)) as client:
            await client.backup(second)

    asyncio.run(run())
    assert whole(second)


@pytest.mark.parametrize("place", ["", "output", "output/0", "spool", "workers"])
def test_the_daemons_own_directories_take_no_copies(home: Home, place: str) -> None:
    """A copy there could overwrite the database or another file of the daemon."""
    folder = home.root / place
    folder.mkdir(exist_ok=True)
    (home.work / "way").symlink_to(folder)
    for path in (folder / "queuectl.db", home.work / "way" / "queuectl.db"):
        with home.connect() as client:
            refused = client.refused("backup", path=str(path), replace=True)
        assert refused.code == "invalid_params"
        assert "for the daemon's own files" in refused.message
    backups = home.root / "backups"
    backups.mkdir()
    home.ask("backup", path=str(backups / "copy.db"))


@pytest.mark.parametrize("path", ["copy.db", "", "/a\0b", f"/{'x' * 5000}", 7, None])
def test_a_path_that_is_none_is_refused(home: Home, path: object) -> None:
    """Above all a relative path: the daemon's directory is not the caller's."""
    with home.connect() as client:
        assert client.refused("backup", path=path).code == "invalid_params"


def test_what_is_no_regular_file_is_not_replaced(home: Home) -> None:
    """Neither a link, wherever it leads, nor a directory."""
    (home.work / "link").symlink_to(home.root / "queuectl.db")
    (home.work / "folder").mkdir()
    for name in ("link", "folder"):
        with home.connect() as client:
            path = str(home.work / name)
            refused = client.refused("backup", path=path, replace=True)
        assert "is no regular file" in refused.message
        assert (refused.code, refused.data) == ("invalid_params", {"param": "path"})
    assert (home.work / "link").is_symlink()


@pytest.mark.parametrize(
    "path", ["/proc/copy.db", "/dev/full/copy.db", f"/tmp/{'x' * 300}"]
)
def test_a_place_where_nothing_can_be_written_is_a_wrong_path(
    home: Home, path: str
) -> None:
    """The store has not failed, and the caller can choose another path."""
    with home.connect() as client:
        refused = client.refused("backup", path=path)
    assert (refused.code, refused.data) == ("invalid_params", {"param": "path"})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_may_not_be_written_is_named(home: Home) -> None:
    """The error has the kernel's reason."""
    with home.connect() as client:
        refused = client.refused("backup", path="/copy.db")
    assert refused.message == "cannot write the copy /copy.db: Permission denied"


def test_a_copy_that_nobody_waits_for_any_more_leaves_nothing(tmp_path: Path) -> None:
    """No file and no draft of it remain, and the store keeps working."""
    target = tmp_path / "copies" / "copy.db"
    target.parent.mkdir()

    async def run() -> None:
        store = SqliteStore(tmp_path / "queuectl.db")
        try:
            for _ in range(50):
                await add(store, command="x" * 50_000)
            making = asyncio.create_task(store.backup(target, replace=False))
            await asyncio.sleep(0)
            making.cancel()
            with pytest.raises(asyncio.CancelledError):
                await making
            await add(store)
        finally:
            await store.close()
        with pytest.raises(StoreError):
            await store.backup(target, replace=False)

    asyncio.run(run())  # waits for the thread
    assert list(target.parent.iterdir()) == []


def test_a_file_that_came_meanwhile_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The early check gives the error message; the check at the end decides."""
    target = tmp_path / "copies" / "copy.db"
    target.parent.mkdir()

    async def run() -> None:
        store = SqliteStore(tmp_path / "queuectl.db")
        try:
            monkeypatch.setattr(os.path, "lexists", lambda _path: False)
            target.write_text("precious")
            with pytest.raises(BackupExistsError):
                await store.backup(target, replace=False)
            with pytest.raises(BackupError, match="No such file"):
                await store.backup(tmp_path / "missing" / "copy.db", replace=False)
        finally:
            await store.close()

    asyncio.run(run())
    assert target.read_text() == "precious"
    assert list(target.parent.iterdir()) == [target]


def test_of_copies_in_a_directory_the_newest_are_kept(home: Home) -> None:
    """Copies are named by the time; files with other names are not removed."""
    folder = home.work / "copies"
    folder.mkdir()
    for name in ("queuectl-20200101T000000.000Z.db", "mine.db"):
        (folder / name).touch()
    first = json.loads(home.ctl("backup", "--keep", "2", "--json", "copies"))
    assert first["removed"] == []
    second = home.ctl("backup", "--keep", "2", "copies")
    assert second.splitlines()[1:] == [
        f"{folder}/queuectl-20200101T000000.000Z.db: removed"
    ]
    made = second.partition(": ")[0]
    names = {path.name for path in folder.iterdir()}
    assert names == {Path(first["path"]).name, Path(made).name, "mine.db"}


def test_a_directory_is_no_name_for_a_copy(home: Home) -> None:
    """Without ``--keep`` the error shows the command to type."""
    done = home.run("backup", ".")
    assert (done.returncode, done.stdout) == (1, "")
    assert "is a directory; name a file in it, or keep several: --keep" in done.stderr
