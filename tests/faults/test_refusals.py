"""Databases that a daemon must not use: refused unchanged, with a remedy.

What the store says to each kind of file is tested in contract/sqlite/test_opening;
here: what a person reads, and that nothing is changed, replaced or left running.
"""

import sqlite3
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from helpers.databases import files, open_and_close
from helpers.home import Home, a_home
from helpers.jobs import NOW
from queuectld.store.sqlite.connection import schema_version

PAGE = 4096


@pytest.fixture
def home() -> Iterator[Home]:
    """Give a home in which a daemon did some work and ended."""
    with a_home() as home:
        home.serve()
        home.ask("workers.start")
        home.ended(home.enqueue("echo done"))
        home.enqueue("true", run_at="2100-01-01T00:00:00Z")
        home.stop()
        yield home
        (home.root / "queuectl.db").unlink(missing_ok=True)


def overwritten(begin: int, end: int) -> Callable[[Path], None]:
    def run(file: Path) -> None:
        content = bytearray(file.read_bytes())
        content[begin:end] = bytes([0xAA]) * (end - begin)
        file.write_bytes(content)

    return run


schema = overwritten(100, PAGE)


def cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: 3 * PAGE + 100])


def foreign(file: Path) -> None:
    file.unlink()
    with closing(sqlite3.connect(file)) as theirs:
        theirs.execute("CREATE TABLE bookmarks (url TEXT)")
        theirs.execute("INSERT INTO bookmarks VALUES ('https://example.org')")
        theirs.commit()


def newer(file: Path) -> None:
    with closing(sqlite3.connect(file)) as future:
        future.execute(f"PRAGMA user_version = {schema_version() + 1}")


def text(file: Path) -> None:
    file.write_text("my notes\n" * 100)


@pytest.mark.parametrize(
    "damage",
    [overwritten(0, 16), overwritten(0, PAGE), schema, cut_short, text, foreign, newer],
    ids=["magic", "header", "schema", "cut short", "text", "foreign", "newer"],
)
def test_a_database_that_cannot_be_used_is_left_as_it_is(
    home: Home, damage: Callable[[Path], None]
) -> None:
    """By the daemon and by commands that start it; no new one is made in its place."""
    file = home.root / "queuectl.db"
    damage(file)
    before = files(file)
    del before["queuectld.stderr"]
    direct = home.run(program="queuectld")
    assert direct.returncode == (6 if damage is newer else 1)
    assert "left as it is" in direct.stderr
    assert str(file) in direct.stderr
    assert "Traceback" not in direct.stderr
    for command in (("enqueue", "true"), ("daemon", "start")):
        done = home.run(*command)
        assert done.returncode == 3
        assert done.stderr.startswith("queuectl: ")
        assert "left as it is" in done.stderr
    doctor = home.run("doctor").stdout
    assert ("error    database: " in doctor) is (damage is not schema)
    after = files(file)
    assert {name: after[name] for name in before if name != "lock"} == {
        name: content for name, content in before.items() if name != "lock"
    }
    assert set(after) - set(before) <= {"queuectld.log", "queuectld.stderr"}
    assert home.gone()


def test_a_log_that_was_cut_short_is_read_as_far_as_it_is_whole(home: Home) -> None:
    """Its whole commits are kept: SQLite takes a torn end for a power cut."""
    daemon = home.serve()
    jobs = [home.enqueue("true", run_at="2100-01-01T00:00:00Z") for _ in range(20)]
    home.kill(daemon.pid)
    log = home.root / "queuectl.db-wal"
    log.write_bytes(log.read_bytes()[: log.stat().st_size // 2 + 100])
    home.serve()
    there = [job["id"] for job in home.ask("list", state="pending")["jobs"]][::-1][1:]
    assert 0 < len(there) < len(jobs)
    assert there == jobs[: len(there)]
    assert home.ask("doctor", deep=True)["checks"][-1]["level"] == "ok"
    home.stop()


def test_an_empty_log_beside_a_foreign_database_changes_nothing(home: Home) -> None:
    """A log beside a database of another program is not queuectl's."""
    file = home.root / "queuectl.db"
    foreign(file)
    log = file.with_name("queuectl.db-wal")
    log.write_bytes(zlib.compress(b"not a log") * 50)
    before = file.read_bytes(), log.read_bytes()
    assert home.run("status").returncode == 3
    assert (file.read_bytes(), log.read_bytes()) == before
    log.unlink()


@pytest.mark.parametrize("torn", [100, 512, 1024, PAGE])
def test_a_power_cut_while_the_file_is_made_is_no_damage(
    tmp_path: Path, torn: int
) -> None:
    """Its journal shows that the database was empty before: it is made again."""
    whole, path = tmp_path / "whole.db", tmp_path / "queuectl.db"
    open_and_close(whole)
    path.write_bytes(whole.read_bytes()[:torn].ljust(PAGE, b"\xaa"))
    journal = bytearray(512)
    journal[:8] = bytes.fromhex("d9d505f920a163d7")
    journal[20:24], journal[24:28] = (512).to_bytes(4), PAGE.to_bytes(4)
    path.with_name("queuectl.db-journal").write_bytes(journal)
    open_and_close(path, jobs=1)
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        found = database.execute("SELECT created_at FROM jobs").fetchall()
    assert found == [(NOW,)]
