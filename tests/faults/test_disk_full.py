"""The disk is full, fails, becomes read-only, or goes away.

Nothing that was acknowledged is lost, jobs that run go on, reads are answered, and
when there is room again, so does all else, by itself.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from faults import places, traced
from faults.places import SmallDisk
from helpers import waiting
from helpers.home import Home
from helpers.rawclient import RawClient
from queuectl_protocol.messages import Failure, Reply

needs_mount = pytest.mark.skipif(
    os.geteuid() != 0 or not places.can_mount(), reason="needs to mount a tmpfs: root"
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
    with places.a_small_disk() as disk:
        yield disk


@pytest.fixture
def home(disk: SmallDisk) -> Iterator[Home]:
    """Give a home on the small disk, in which a daemon runs."""
    with places.a_home_on(disk) as home:
        home.serve()
        yield home


def until_refused(client: RawClient, size: int = 2000) -> tuple[list[str], Failure]:
    """Enqueue jobs until one is refused; return the ids of the others, and why."""
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
    """Filled by the queue; retryable; reads go on; what was acknowledged stays."""
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
    """Each request of a batch is answered by itself, and the answers are true."""
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
    """Its end is recorded, once, when there is room; the next job is claimed then."""
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
    """The job's write fails, as on any full disk; the daemon notes what came of it."""
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
def test_a_spool_without_room_waits_for_some(home: Home, disk: SmallDisk) -> None:
    """The worker of a daemon that died keeps its result until it can be written."""
    gate = home.gate()
    home.ask("workers.start")
    job = home.enqueue("read _ <gate; echo ran >>runs")
    home.until_state(job, "processing")
    worker = home.workers()[0]["pid"]
    home.kill(home.daemon)
    disk.fill()
    gate.open()
    home.appears("runs")
    waiting.until(lambda: "cannot keep the result" in home.log(), "the worker says so")
    assert list((home.root / "spool").glob("*.json")) == []
    disk.empty()
    waiting.until(lambda: not Path(f"/proc/{worker}").exists(), "the worker ends")
    home.serve()
    assert home.ended(job)["state"] == "completed"
    assert home.reasons(job) == ["exit"]
    assert (home.work / "runs").read_text() == "ran\n"


@needs_mount
def test_a_job_whose_output_files_do_not_fit_waits(home: Home, disk: SmallDisk) -> None:
    """It is not run without them, and not failed either."""
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
    with places.a_small_disk("256k") as other:
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
    with places.a_home_on(disk) as home:
        home.serve()
        job = home.enqueue("true")
        home.stop()
        disk.fill()
        for done in (home.run(program="queuectld"), home.run("status")):
            assert done.returncode in {1, 3}
            assert "Traceback" not in done.stderr
            assert "there is no room left on its disk; free some space" in done.stderr
        disk.empty()
        assert home.ctl("status")
        assert home.job(job)["state"] == "pending"
