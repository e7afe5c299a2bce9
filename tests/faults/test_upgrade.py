"""Every schema that was ever released opens, with all its data."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from faults import released
from helpers.databases import open_and_close
from helpers.home import Home, a_home
from queuectl_protocol.vocabulary import JobState
from queuectld.core.job import Job
from queuectld.core.limits import NONE, Limits
from queuectld.store.sqlite import connection
from queuectld.store.sqlite.store import SqliteStore

Rows = dict[Any, dict[str, Any]]


def rows(path: Path, table: str, *key: str) -> Rows:
    """Return the rows of a table by their key, each column by its name."""
    with closing(sqlite3.connect(path)) as database:
        database.row_factory = sqlite3.Row
        found = [dict(row) for row in database.execute(f"SELECT * FROM {table}")]
    return {tuple(row[name] for name in key): row for row in found}


def schema(path: Path) -> set[str]:
    """Return the statements that make up a database's schema."""
    query = "SELECT sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'"
    with closing(sqlite3.connect(path)) as database:
        return {" ".join(sql.split()) for (sql,) in database.execute(query)}


def test_there_is_a_database_of_each_schema() -> None:
    """A new migration needs its fixture: ``python -m faults.released``."""
    assert released.versions() == list(range(1, connection.schema_version() + 1))


@pytest.fixture(params=released.versions())
def version(request: pytest.FixtureRequest) -> int:
    """Give each version of the schema."""
    number: int = request.param
    return number


@pytest.fixture
def path(version: int, tmp_path: Path) -> Path:
    """Give a database of that version."""
    path = tmp_path / "queuectl.db"
    released.restore(version, path)
    return path


def test_migrations_that_were_released_do_not_change(
    version: int, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database made now by the first steps equals the released one."""
    steps = connection._migrations()[:version]
    monkeypatch.setattr(connection, "_migrations", lambda: steps)
    open_and_close(tmp_path / "now.db")
    assert schema(tmp_path / "now.db") == schema(path)


def test_an_old_database_has_a_job_in_each_state(path: Path) -> None:
    """Otherwise the other tests here would prove little."""
    states = [row["state"] for row in rows(path, "jobs", "seq").values()]
    assert set(states) == set(JobState)


def test_an_old_database_keeps_everything(path: Path) -> None:
    """All rows, and the values of all columns that still exist."""
    tables = {
        "jobs": ("seq",),
        "attempts": ("job", "run"),
        "settings": ("key",),
        "meta": ("key",),
        "environments": ("key",),
        "counts": ("queue", "state"),
        "rollup": ("minute", "queue", "metric", "bucket"),
    }
    before = {table: rows(path, table, *key) for table, key in tables.items()}
    open_and_close(path)
    with closing(sqlite3.connect(path)) as database:
        found = database.execute("PRAGMA user_version").fetchone()
        assert found == (connection.schema_version(),)
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    for table, key in tables.items():
        after = rows(path, table, *key)
        assert before[table].keys() == after.keys(), table
        for name, old in before[table].items():
            kept = after[name].keys() & old.keys()
            assert {c: after[name][c] for c in kept} == {c: old[c] for c in kept}


def test_an_upgraded_schema_is_that_of_a_new_database(
    path: Path, tmp_path: Path
) -> None:
    """An upgrade and a new database have the same schema."""
    open_and_close(path)
    open_and_close(tmp_path / "new.db")
    assert schema(path) == schema(tmp_path / "new.db")


def test_the_store_reads_what_an_old_database_holds(version: int, path: Path) -> None:
    """Each job has this version's type, and the counters agree."""

    async def run() -> tuple[list[Job], list[str]]:
        store = SqliteStore(path)
        try:
            page = await store.read(lambda reader: reader.page(None, None, 100))
            return page.jobs, await store.examine()
        finally:
            await store.close()

    jobs, problems = asyncio.run(run())
    assert problems == []
    by_id = {job.id: job for job in jobs}
    assert by_id["words"].command == ("printf", "%s\n", "two words", "\udcff")
    assert by_id["runs-too"].cancel_requested
    assert by_id["runs"].umask == 0o077
    limits = {job.id: job.limits for job in jobs if job.limits is not NONE}
    limited = Limits(nice=5, rlimits=(("core", -1), ("nofile", 512)))
    assert limits == ({} if version < 2 else {"limited": limited})
    assert {job.groups for job in jobs} == {None}
    shells = {job.id: (job.shell, job.foreground) for job in jobs if job.shell}
    assert shells == ({} if version < 4 else {"bash": ("/bin/bash", True)})
    expiries = {job.id: job.expires for job in jobs if job.expires is not None}
    assert expiries == ({} if version < 5 else {"expires": 4_102_531_200_000})
    assert not any(job.foreground for job in jobs if job.id != "bash")


@pytest.fixture
def home(version: int) -> Iterator[Home]:
    """Give a home with a database of that version."""
    with a_home() as home:
        text = released.fixture(version).read_text()
        with closing(sqlite3.connect(home.root / "queuectl.db")) as database:
            database.executescript(text.replace(released.HOME, str(home.root)))
        home.serve()
        yield home


def test_the_work_of_an_old_database_goes_on(home: Home) -> None:
    """Running jobs are settled, waiting jobs run, ended jobs can be retried."""
    (home.work / "again").touch()  # or it would sleep
    home.ask("workers.ensure", count=2)
    assert home.ended("waits")["state"] == "completed"
    assert home.output("waits") == "waited\n"
    assert home.ended("runs")["state"] == "completed"
    assert home.ended("runs-too")["state"] == "cancelled"
    assert home.job("later")["run_at"] == "2100-01-01T00:00:00.000Z"
    home.until_state("fails", "failed")
    assert home.job("1")["label"] == "first"
    home.ask("retry", id="1")
    assert home.ended("1")["runs"] == 2
    assert home.output("1") == "done\n"
    assert home.ask("config.get", key="max_retries")["value"] == 2
    assert home.ask("stats")["completed"] >= 5
    assert home.ask("doctor", deep=True)["checks"][-1]["level"] == "ok"
