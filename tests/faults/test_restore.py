"""Copies of the database put back in its place, and databases that are damaged."""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.home import Home, a_home
from queuectl_protocol.vocabulary import JobState
from queuectld.server import diagnosis
from queuectld.store.sqlite.store import SqliteStore


@pytest.fixture
def home() -> Iterator[Home]:
    """Give a home in which a daemon runs."""
    with a_home() as home:
        home.serve()
        yield home


# -- put back -----------------------------------------------------------------------


def restore(home: Home, copy: Path) -> None:
    """Do what docs/howto/backup.md says."""
    for suffix in ("-wal", "-shm"):
        (home.root / f"queuectl.db{suffix}").unlink(missing_ok=True)
    shutil.copy(copy, home.root / "queuectl.db")


def test_a_restored_copy_goes_on_where_it_was_made(home: Home) -> None:
    """What ran then is settled and runs again; what came later never was."""
    copy, gate = home.work / "copy.db", home.gate()
    home.ask("workers.start")
    home.ended(done := home.enqueue("echo done"))
    runs = home.enqueue("read _ <gate; echo ran >>runs", max_retries=1)
    waits = home.enqueue("echo waited")
    home.until_state(runs, "processing")
    home.ctl("backup", str(copy))
    gate.open()
    home.ended(waits)
    later = home.enqueue("echo of another time")
    home.ended(later)
    leases = {each["lease"] for job in (done, runs, waits, later)
              for each in home.attempts(job)}  # fmt: skip
    home.stop()
    restore(home, copy)

    home.serve()
    gate.open()
    assert home.ended(done)["runs"] == 1
    assert home.output(done) == "done\n"
    assert home.ended(runs)["state"] == JobState.COMPLETED
    assert home.reasons(runs)[-1] == "exit"
    assert home.ended(waits)["state"] == JobState.COMPLETED
    again = home.enqueue("echo now")
    assert again == later  # its number is free: the copy does not know of it
    home.ended(again)
    assert home.output(again) == "now\n"
    new = {home.attempts(job)[-1]["lease"] for job in (runs, waits, again)}
    assert min(new) > max(leases)


def test_a_copy_restored_twice_gives_no_lease_twice(home: Home) -> None:
    """Nor does one that was made by hand, of a stopped daemon."""
    home.ask("workers.start")
    home.ended(home.enqueue("true"))
    home.stop()
    copy = home.work / "copy.db"
    shutil.copy(home.root / "queuectl.db", copy)
    leases: list[int] = []
    for _ in range(3):
        restore(home, copy)
        home.serve()
        home.ended(job := home.enqueue("true"))
        leases += [each["lease"] for each in home.attempts(job)]
        home.stop()
    assert leases == sorted(set(leases))


# -- examined -----------------------------------------------------------------------


def test_doctor_finds_a_damaged_page_in_the_middle(home: Home) -> None:
    """Which SQLite does not see when it opens the file, and may not meet for months."""
    home.ask("enqueue_many", jobs=[{"command": "x" * 900} for _ in range(2000)])
    home.stop()
    file = home.root / "queuectl.db"
    content = bytearray(file.read_bytes())
    page = len(content) // 4096 // 2 * 4096
    content[page : page + 4096] = b"\xaa" * 4096
    file.write_bytes(content)
    daemon = home.serve()
    assert "begins as it should" in home.ctl("doctor")
    done = home.run("doctor", "--deep")
    assert done.returncode == 1
    assert "error    database: " in done.stdout
    assert "put a backup in the database's place" in done.stdout
    assert daemon.poll() is None
    home.ask("daemon.stop")
    daemon.wait(20)
    file.unlink()


def test_doctor_finds_counters_that_are_wrong(home: Home) -> None:
    """SQLite cannot know that they are to agree with the rows."""
    home.enqueue("true")
    home.stop()
    home.edit("UPDATE counts SET jobs = 5 WHERE state = 'pending' RETURNING jobs")
    home.serve()
    found = home.run("doctor", "--deep").stdout
    assert "error    database: 1 jobs are pending, and 5 are counted" in found
    home.stop()
    home.edit("UPDATE counts SET jobs = 1 WHERE state = 'pending' RETURNING jobs")


def test_an_examination_ends_when_its_time_is_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says that it did not see all, and is no error."""

    async def run() -> diagnosis.Check:
        store = SqliteStore(tmp_path / "queuectl.db")
        try:
            return await diagnosis.database(store.examine())
        finally:
            await store.close()

    monkeypatch.setattr(diagnosis, "DEEP_WITHIN", 0)
    check = asyncio.run(run())
    assert check.level == "warning"
    assert "not read to its end" in check.detail
