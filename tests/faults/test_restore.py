"""Copies of the database put back in its place, and databases that are damaged."""

import asyncio
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers import processes, waiting
from helpers.home import ALONE, Gate, Home, a_home
from queuectl_protocol.vocabulary import JobState
from queuectld.server.health import doctor
from queuectld.store.sqlite.store import SqliteStore


@pytest.fixture
def home() -> Iterator[Home]:
    """Give a home in which a daemon runs."""
    with a_home() as home:
        home.serve()
        yield home


# -- put back -----------------------------------------------------------------------


def restore(home: Home, copy: Path) -> None:
    """Follow the steps of docs/howto/backup.md."""
    for suffix in ("-wal", "-shm"):
        (home.root / f"queuectl.db{suffix}").unlink(missing_ok=True)
    shutil.copy(copy, home.root / "queuectl.db")


def test_a_restored_copy_goes_on_where_it_was_made(home: Home) -> None:
    """Jobs that were running in the copy run again; later jobs do not exist."""
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


def test_a_restored_copy_tells_what_it_knows_of_what_ran(home: Home) -> None:
    """The attempt is shown with its start and, where known, its end."""
    copy, gate = home.work / "copy.db", home.gate()
    home.ask("workers.start", count=2)
    once = home.enqueue("echo >began; read _ <gate", max_retries=0)
    silent = home.enqueue("read _ <gate", max_retries=1)
    home.appears("began")
    began = home.until_state(silent, "processing")["started_at"]
    home.ctl("backup", str(copy))
    gate.open(2)
    for job in (once, silent):
        home.ended(job)
    home.stop()
    restore(home, copy)

    home.serve()
    gate.open()
    assert home.ended(once)["state"] == "dead"  # it may have been done, and once is all
    assert home.ended(silent)["state"] == "completed"
    assert home.reasons(silent) == ["lost", "exit"]
    first = home.attempts(silent)[0]
    assert first["started_at"] == began
    assert first["finished_at"] >= began
    made = re.search(r"it ran when the copy was made .*, at (\S+);", first["message"])
    assert made is not None
    assert made[1] == first["finished_at"]


def test_a_crash_long_after_a_restore_is_told_as_one(home: Home) -> None:
    """Attempts that began after the restore are lost as usual."""
    copy, gate = home.work / "copy.db", home.gate()
    home.ctl("backup", str(copy))
    home.stop()
    restore(home, copy)
    home.serve()
    home.ask("workers.start")
    job = home.enqueue("read _ <gate", max_retries=1)
    home.until_state(job, "processing")
    worker = home.worker_of(job)["pid"]
    home.kill(home.daemon, worker)
    home.serve()
    # Not before: what is left of the first run waits at the gate as well.
    waiting.until(lambda: home.job(job)["runs"] == 2, "it runs again")
    gate.open()
    home.ended(job)
    first = home.attempts(job)[0]
    assert "copy" not in first["message"]


def test_a_copy_restored_twice_gives_no_lease_twice(home: Home) -> None:
    """Nor does a copy made by hand while the daemon was stopped."""
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


# -- put back while workers of the old life go on -------------------------------------

HELD = f"{ALONE} echo ${{QUEUECTL_LEASE##*:}} >>runs; trap '' TERM; read _ <gate"
"""A job that nobody may run twice at once, and that does not end when asked to."""


def replaced(home: Home, copy: Path, *victims: int) -> None:
    """Kill the daemon and given processes, restore the copy, and start a daemon."""
    home.kill(home.daemon, *victims)
    restore(home, copy)
    home.serve()


def leases(home: Home, count: int) -> list[str]:
    """Wait for so many runs to begin; return their leases."""
    file = home.work / "runs"

    def seen() -> list[str]:
        return file.read_text().split() if file.exists() else []

    waiting.until(lambda: len(seen()) >= count, f"{count} runs begin")
    return seen()


def assert_it_runs_alone(home: Home, job: str, gate: Gate, before: list[str]) -> None:
    """The job completes in a run of the new daemon, and no other run overlaps it."""
    home.ask("workers.ensure", count=2)
    new = leases(home, len(before) + 1)[-1]
    gate.open()
    assert home.ended(job)["state"] == JobState.COMPLETED
    assert not home.overlapped()
    told = [str(each["lease"]) for each in home.attempts(job)]
    assert told[-1] == new
    assert not set(told) & set(before)


@pytest.mark.parametrize("dies", ["daemon", "daemon and worker"])
def test_what_waits_in_the_copy_and_ran_since_is_ended_first(
    home: Home, dies: str
) -> None:
    """Its worker, if alive, and all remaining processes of its job."""
    copy, gate = home.work / "copy.db", home.gate()
    job = home.enqueue(HELD)
    home.ctl("backup", str(copy))
    home.ask("workers.start")
    before = leases(home, 1)
    worker = home.worker_of(job)["pid"]
    replaced(home, copy, *[worker] * (dies != "daemon"))
    assert home.job(job)["state"] == JobState.PENDING
    assert_nobody_ran_before(home, worker)
    assert_it_runs_alone(home, job, gate, before)


def test_what_the_copy_never_knew_is_ended(home: Home) -> None:
    """No row of the copy mentions the job."""
    copy, gate = home.work / "copy.db", home.gate()
    home.ctl("backup", str(copy))
    home.ask("workers.start", count=2)
    job = home.enqueue(HELD)
    before = leases(home, 1)
    worker = home.worker_of(job)["pid"]
    replaced(home, copy)
    assert_nobody_ran_before(home, worker)
    assert home.enqueue(HELD) == job  # its number is free
    assert_it_runs_alone(home, job, gate, before)


def test_a_later_run_of_what_ran_in_the_copy_is_ended(home: Home) -> None:
    """The copy assigns the job to a worker that has died since."""
    copy, gate = home.work / "copy.db", home.gate()
    home.ask("workers.start")
    home.configure(backoff_max="0")
    job = home.enqueue(HELD)
    leases(home, 1)
    home.ctl("backup", str(copy))
    home.kill(home.worker_of(job)["pid"])
    before = leases(home, 2)
    worker = home.worker_of(job)["pid"]
    replaced(home, copy)
    assert_nobody_ran_before(home, worker)
    home.ask("workers.ensure", count=2)
    leases(home, 3)
    gate.open()
    assert home.ended(job)["state"] == JobState.COMPLETED
    assert len(home.reasons(job)) == 2
    assert not home.overlapped()
    assert before[1] not in [str(each["lease"]) for each in home.attempts(job)]


def test_a_worker_that_has_another_job_than_in_the_copy_is_ended(home: Home) -> None:
    """The daemon does not wait for it as if it ran the job of the copy."""
    copy, gate, other = home.work / "copy.db", home.gate(), home.gate("other")
    home.ask("workers.start")
    job = home.enqueue("read _ <other")
    home.until_state(job, "processing")
    home.ctl("backup", str(copy))
    other.open()
    home.ended(job)
    home.enqueue(HELD)
    before = leases(home, 1)
    (worker,) = home.workers()
    replaced(home, copy)
    assert_nobody_ran_before(home, worker["pid"])
    other.open()
    assert home.ended(job)["state"] == JobState.COMPLETED
    assert len(home.reasons(job)) == 2
    again = home.enqueue(HELD)
    assert_it_runs_alone(home, again, gate, before)


def test_a_result_of_the_old_life_is_not_recorded(home: Home) -> None:
    """Its worker wrote it to the spool while no daemon ran."""
    copy, gate = home.work / "copy.db", home.gate()
    job = home.enqueue(HELD)
    home.ctl("backup", str(copy))
    home.ask("workers.start")
    before = leases(home, 1)
    home.kill(home.daemon)
    gate.open()
    spool = home.root / "spool"
    waiting.until(lambda: list(spool.glob("*.json")), "the result is in the spool")
    restore(home, copy)
    home.serve()
    assert home.job(job)["state"] == JobState.PENDING
    assert list(spool.iterdir()) == []
    assert_it_runs_alone(home, job, gate, before)


def test_what_runs_in_the_copy_and_still_does_goes_on(home: Home) -> None:
    """The attempt is the same in the copy and now, so it continues."""
    copy, gate = home.work / "copy.db", home.gate()
    home.ask("workers.start")
    job = home.enqueue(HELD)
    leases(home, 1)
    home.ctl("backup", str(copy))
    replaced(home, copy)
    gate.open()
    assert home.ended(job)["state"] == JobState.COMPLETED
    assert home.reasons(job) == ["exit"]
    assert len(leases(home, 1)) == 1


def assert_nobody_ran_before(home: Home, worker: int) -> None:
    """Once the daemon answers, the worker of the old one is gone, with its job."""
    assert processes.find(worker, str(home.root)) is None
    assert not [seen for seen in home.processes() if "QUEUECTL_LEASE#" in seen.command]


# -- examined -----------------------------------------------------------------------


def test_doctor_finds_a_damaged_page_in_the_middle(home: Home) -> None:
    """SQLite does not read that page at opening, and perhaps not for months."""
    home.ask("enqueue_many", jobs=[{"command": "x" * 900} for _ in range(2000)])
    home.stop()
    file = home.root / "queuectl.db"
    content = bytearray(file.read_bytes())
    page = len(content) // 4096 // 2 * 4096
    content[page : page + 4096] = b"\xaa" * 4096
    file.write_bytes(content)
    daemon = home.serve()
    assert "its header is valid" in home.ctl("doctor")
    done = home.run("doctor", "--deep")
    assert done.returncode == 1
    assert "error    database: " in done.stdout
    assert "put a backup in the database's place" in done.stdout
    assert daemon.poll() is None
    home.ask("daemon.stop")
    daemon.wait(20)
    file.unlink()


def test_doctor_finds_counters_that_are_wrong(home: Home) -> None:
    """SQLite itself does not compare the counters with the rows."""
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
    """It reports that it is incomplete, and that is not an error."""

    async def run() -> doctor.Check:
        store = SqliteStore(tmp_path / "queuectl.db")
        try:
            return await doctor.database(store.examine())
        finally:
            await store.close()

    monkeypatch.setattr(doctor, "DEEP_WITHIN", 0)
    check = asyncio.run(run())
    assert check.level == "warning"
    assert "not read to its end" in check.detail
