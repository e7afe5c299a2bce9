"""The disk is full, fails, becomes read-only, or goes away.

Nothing that was acknowledged is lost, jobs that run go on, reads are answered, and
when there is room again, so does all else, by itself.
"""

import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from faults import disks, released
from faults.disks import SmallDisk
from helpers import databases, traced, waiting
from helpers.home import Home
from helpers.rawclient import PATIENCE, RawClient
from queuectl_protocol.messages import Failure, Reply
from queuectld.store.api import StoreOpenError

needs_mount = pytest.mark.skipif(
    os.geteuid() != 0 or not disks.can_mount(), reason="needs to mount a tmpfs: root"
)
needs_strace = pytest.mark.skipif(
    not traced.available(), reason="needs strace, and to be allowed to trace"
)

FULL = (
    "queuectl: there is no room left for the database; free some space and try again\n"
)


@pytest.fixture
def disk() -> Iterator[SmallDisk]:
    """Give a file system of 4 MiB."""
    with disks.a_small_disk() as disk:
        yield disk


@pytest.fixture
def home(disk: SmallDisk) -> Iterator[Home]:
    """Give a home on the small disk, in which a daemon runs."""
    with disks.a_home_on(disk) as home:
        home.serve()
        yield home


def until_refused(client: RawClient, size: int = 2000) -> tuple[list[str], Failure]:
    """Enqueue jobs until one is refused; return the other ids, and the refusal."""
    ids: list[str] = []
    while len(ids) < 10_000:
        end = client.end(client.send("enqueue", job={"command": "#" * size}))
        if isinstance(end, Failure):
            return ids, end
        ids.append(end.result["job"]["id"])
    raise AssertionError("the disk never fills up")


# -- full ---------------------------------------------------------------------------


@needs_mount
def test_a_full_disk_refuses_jobs_and_takes_them_again(
    home: Home, disk: SmallDisk
) -> None:
    """The refusal is retryable; reads continue; acknowledged jobs remain."""
    with home.connect() as client:
        ids, failure = until_refused(client)
        assert (failure.code, failure.retryable) == ("storage_full", True)
        assert client.call("status")["pending"] == len(ids)
        assert len(client.call("list", limit=1000)["jobs"]) == min(1000, len(ids))
        checks = {each["name"]: each for each in client.call("doctor")["checks"]}
        assert checks["space"]["level"] == "error"
        assert checks["space"]["advice"].startswith("remove other files there first")
        assert client.call("status")["trouble"] == failure.message
        told = home.run("status")
        assert told.returncode == 0
        assert f"the queue stands still: {failure.message}\n" in told.stderr
        done = home.run("enqueue", "#" * 2000)
        assert (done.returncode, done.stderr) == (1, FULL)
        disk.grow("32m")
        later = client.call("enqueue", job={"command": "true"})["job"]["id"]
        assert client.call("status")["trouble"] is None
        client.call("workers.start")
        assert home.ended(later)["state"] == "completed"
    home.stop()
    home.serve()
    for job_id in (*ids[:: len(ids) // 50], ids[-1], later):
        assert home.ended(job_id)["state"] == "completed"
    assert home.ask("doctor", deep=True)["checks"][-1]["level"] == "ok"


@needs_mount
def test_a_disk_that_fills_up_in_a_group_commit_loses_only_what_does_not_fit(
    home: Home, disk: SmallDisk
) -> None:
    """Each request of a batch gets an answer of its own, and the answers are true."""
    for round_ in range(10):
        disk.fill(leave=40_000 + round_ * 7_000)
        with home.connect() as client:
            sizes = [200, 200, 60_000, 200, 200, 9_000, 200, 30_000, 200]
            sent = {
                f"{round_}-{number}": client.send(
                    "enqueue", job={"command": "#" * size, "id": f"r{round_}-{number}"}
                )
                for number, size in enumerate(sizes * 3)
            }
            ends = {name: client.end(request) for name, request in sent.items()}
        disk.empty()
        there = {job["id"] for job in home.ask("list", limit=1000)["jobs"]}
        for name, end in ends.items():
            assert (f"r{name}" in there) == isinstance(end, Reply), (name, end)
            assert isinstance(end, Reply) or end.code == "storage_full"
    assert any(isinstance(end, Failure) for end in ends.values()) or round_ == 9
    assert home.ask("doctor", deep=True)["checks"][-1]["level"] == "ok"


@needs_mount
def test_a_running_job_outlives_a_full_disk(home: Home, disk: SmallDisk) -> None:
    """Its end is recorded once when there is room; then the next job is claimed."""
    gate = home.gate()
    home.ask("workers.start")
    runs = home.enqueue("read _ <gate; echo ran >>runs")
    waits = home.enqueue("echo next >>runs")
    home.until_state(runs, "processing")
    disk.fill()
    with home.connect() as client:
        until_refused(client)
    gate.open()
    home.appears("runs")
    waiting.until(lambda: "result_not_stored" in home.log(), "the daemon says so")
    assert home.job(runs)["state"] == "processing"
    assert home.job(waits)["state"] == "pending"
    disk.empty()
    assert home.ended(runs)["state"] == "completed"
    assert home.ended(waits)["state"] == "completed"
    assert home.reasons(runs) == ["exit"]
    assert (home.work / "runs").read_text() == "ran\nnext\n"


@needs_mount
def test_output_that_fills_the_disk_is_the_jobs_own_error(
    home: Home, disk: SmallDisk
) -> None:
    """The job's write fails as on any full disk; the daemon records the result."""
    home.ask("workers.start")
    job = home.enqueue("cat /dev/zero", max_retries=0)
    waiting.until(lambda: "No space left" in errors(home, job), "cat complains", 30)
    waiting.until(lambda: room(disk) < 65_536, "the disk is full")
    with home.connect() as client:
        ids, failure = until_refused(client)
    assert failure.code == "storage_full"
    disk.grow("32m")
    done = home.ended(job)
    assert (done["state"], done["exit_code"]) == ("dead", 1)
    for job_id in ids:
        home.ended(job_id)


def errors(home: Home, job: str) -> str:
    """Return the start of what the job wrote to stderr, or to stdout's end."""
    found = home.ask("logs.read", id=job, stream="stderr")["data"]
    state = home.job(job)["state"]
    # With no room at all, not even the complaint fits.
    text: str = found.decode() or ("No space left" if state != "processing" else "")
    return text or ("No space left" if room_is_out(home) else "")


def room_is_out(home: Home) -> bool:
    return room(SmallDisk(home.root)) == 0


def room(disk: SmallDisk) -> int:
    """Return the bytes free."""
    free = os.statvfs(disk.path)
    return free.f_bavail * free.f_frsize


@needs_mount
def test_a_result_that_finds_no_room_is_not_lost(home: Home, disk: SmallDisk) -> None:
    """The worker of a daemon that died ends, and the next daemon has its result."""
    gate = home.gate()
    home.ask("workers.start")
    job = home.enqueue("read _ <gate; echo ran >>runs")
    home.until_state(job, "processing")
    worker = home.workers()[0]["pid"]
    home.kill(home.daemon)
    disk.fill()
    gate.open()
    home.appears("runs")
    waiting.until(lambda: not Path(f"/proc/{worker}").exists(), "the worker ends")
    assert list((home.root / "spool").glob("*.json")) == []
    disk.empty()
    home.serve()
    assert home.ended(job)["state"] == "completed"
    assert home.reasons(job) == ["exit"]
    assert (home.work / "runs").read_text() == "ran\n"


@needs_mount
@pytest.mark.parametrize("worker_lives", [True, False])
@pytest.mark.parametrize("end", ["SIGTERM", "SIGUSR1", "daemon.stop", "now"])
def test_a_full_disk_keeps_no_process_alive(
    home: Home, disk: SmallDisk, end: str, *, worker_lives: bool
) -> None:
    """Daemon and worker end although a result is not stored yet, and keep it."""
    home.stop()
    daemon = home.serve("--shutdown-grace", "0.1s")
    home.configure(kill_grace="0")
    gate = home.gate()
    home.ask("workers.start")
    job = home.enqueue("read _ <gate; echo ran >>runs")
    home.until_state(job, "processing")
    disk.fill()
    with home.connect() as client:
        until_refused(client)
    gate.open()
    waiting.until(lambda: "result_not_stored" in home.log(), "the daemon says so")
    if not worker_lives:
        home.kill(home.worker_of(job)["pid"])
        waiting.until(lambda: home.workers() == [], "the daemon has seen it die")
    if end.startswith("SIG"):
        home.send(daemon.pid, signal.Signals[end])
    else:
        home.ask("daemon.stop", now=end == "now")
    assert daemon.wait(PATIENCE) == 0
    waiting.until(home.gone, "the worker has ended too")

    disk.empty()
    home.serve()
    assert home.ended(job)["state"] == "completed"
    assert home.reasons(job) == ["exit"]
    assert (home.work / "runs").read_text() == "ran\n"


@needs_mount
def test_a_job_whose_output_files_do_not_fit_waits(home: Home, disk: SmallDisk) -> None:
    """It does not run without them, and does not fail either."""
    home.ask("workers.start")
    gate = home.gate()
    # Its own files stay, or their room would be the next one's.
    home.enqueue("echo >begun; read _ <gate; echo out; echo err >&2")
    home.appears("begun")
    second = home.enqueue("echo ran")
    with disk.without_names():
        gate.open()
        home.until_state(second, "processing")
        waiting.until(
            lambda: "cannot create the output files" in home.log(), "it says so"
        )
        assert home.job(second)["state"] == "processing"
    assert home.ended(second)["state"] == "completed"
    assert home.output(second) == "ran\n"


@needs_mount
def test_a_copy_that_does_not_fit_is_refused_and_leaves_nothing(home: Home) -> None:
    """The error is about the copy's disk, not about the database's."""
    home.ask("enqueue_many", jobs=[{"command": "#" * 3000} for _ in range(300)])
    with disks.a_small_disk("256k") as other:
        done = home.run("backup", str(other.path / "copy.db"))
        assert done.returncode == 1
        assert done.stderr == (
            f"queuectl: there is no room for the copy in {other.path}; nothing is left "
            "of it there\n"
        )
        assert list(other.path.iterdir()) == []
    home.ask("enqueue", job={"command": "true"})


@needs_mount
def test_a_daemon_cannot_start_on_a_full_disk_and_says_so(disk: SmallDisk) -> None:
    """From a terminal and when a command starts it; with room again it goes on."""
    with disks.a_home_on(disk) as home:
        home.serve()
        job = home.enqueue("true")
        home.stop()
        disk.fill()
        for done in (home.run(program="queuectld"), home.run("daemon", "start")):
            assert done.returncode in {1, 3}
            assert "Traceback" not in done.stderr
            assert "there is no room left on its disk; free some space" in done.stderr
        disk.empty()
        home.ctl("daemon", "start")
        assert home.job(job)["state"] == "pending"


# -- an upgrade ------------------------------------------------------------------------


@needs_mount
def test_an_upgrade_without_room_for_its_copy_changes_nothing(disk: SmallDisk) -> None:
    """The error says how much room the copy needs; with room the upgrade succeeds."""
    path = disk.path / "queuectl.db"
    released.restore(1, path)
    jobs = databases.ask(path, "SELECT count(*) FROM jobs")
    ballast = [("x" * 1000,)] * 800
    with closing(sqlite3.connect(path)) as older, older:
        older.executemany("INSERT INTO meta VALUES (hex(randomblob(9)), ?)", ballast)
    before = path.read_bytes()
    disk.fill(leave=300_000)
    with pytest.raises(StoreOpenError, match=r"no room for it: about 1 MiB\. It was"):
        databases.open_and_close(path)
    assert path.read_bytes() == before
    assert not list(disk.path.glob("queuectl-schema-*"))
    assert not list(disk.path.glob(".queuectl-*"))
    disk.grow("32m")
    databases.open_and_close(path)
    (copy,) = disk.path.glob("queuectl-schema-1-before-*.db")
    for each in (path, copy):
        assert databases.ask(each, "SELECT count(*) FROM jobs") == jobs
