"""The disk is full, fails, becomes read-only, or goes away.

Nothing that was acknowledged is lost, jobs that run go on, reads are answered, and
when there is room again, so does all else, by itself.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from faults import places, traced
from faults.places import SmallDisk
from helpers import waiting
from helpers.home import Home, a_home
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
        done = home.run("enqueue", "#" * 2000)
        assert (done.returncode, done.stderr) == (1, FULL)
        disk.grow("32m")
        later = client.call("enqueue", job={"command": "true"})["job"]["id"]
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
    first = home.enqueue("read _ <gate; echo out; echo err >&2")
    home.until_state(first, "processing")
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


# -- failing ------------------------------------------------------------------------


@needs_strace
@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("pwrite64", "EIO"),
        ("pwrite64", "ENOSPC"),
        ("pwrite64", "EDQUOT"),
        ("pwrite64", "EROFS"),
        ("fdatasync", "EIO"),
    ],
)
def test_a_disk_that_fails_is_an_error_and_no_loss(call: str, error: str) -> None:
    """Jobs that run go on; reads are answered; then all goes on where it was."""
    with a_home() as home:
        home.serve()
        gate = home.gate()
        home.ask("workers.start")
        kept = home.enqueue("true")
        home.ended(kept)
        runs = home.enqueue("read _ <gate; echo ran >>runs")
        home.until_state(runs, "processing")
        with home.connect() as client, places.failing(home.daemon, call, error):
            full = error == "ENOSPC"
            for number in range(3):
                job = {"command": "true", "id": f"lost-{number}"}
                refused = client.refused("enqueue", job=job)
                expected = "storage_full" if full else "storage_error"
                assert (refused.code, refused.retryable) == (expected, full)
            assert client.call("get", id=kept)["job"]["state"] == "completed"
            done = home.run("enqueue", "true")
            assert done.returncode == 1
            assert done.stderr.startswith("queuectl: ")
            gate.open()
            home.appears("runs")
            waiting.until(lambda: "result_not_stored" in home.log(), "it is told")
        assert home.ended(runs)["state"] == "completed"
        assert home.reasons(runs) == ["exit"]
        new = home.enqueue("true")
        assert home.ended(new)["state"] == "completed"
        there = {job["id"] for job in home.ask("list")["jobs"]}
        assert there == {kept, runs, new}
        assert home.ask("doctor", deep=True)["checks"][-1]["level"] == "ok"


@needs_strace
@pytest.mark.parametrize("call", ["pwrite64", "fdatasync"])
@pytest.mark.parametrize("when", ["1", "2", "3", "2+3"])
def test_one_failure_among_many_requests_is_told_to_whom_it_concerns(
    call: str, when: str
) -> None:
    """Each answer of a group commit is true, whichever of its calls failed."""
    with a_home() as home:
        home.serve()
        with home.connect() as client, places.failing(home.daemon, call, "EIO", when):
            sent = {
                f"job-{number}": client.send(
                    "enqueue", job={"command": "true", "id": f"job-{number}"}
                )
                for number in range(60)
            }
            ends = {name: client.end(request) for name, request in sent.items()}
        there = {job["id"] for job in home.ask("list")["jobs"]}
        told = {name for name, end in ends.items() if isinstance(end, Reply)}
        assert told == there
        home.stop()
        home.serve()
        there = {job["id"] for job in home.ask("list")["jobs"]}
        assert told == there


# -- read-only, or gone ---------------------------------------------------------------


@needs_mount
def test_a_read_only_file_system_is_a_clear_error(disk: SmallDisk) -> None:
    """At the start, and from a command that starts the daemon."""
    with places.a_home_on(disk) as home:
        home.serve()
        job = home.enqueue("true")
        home.stop()
        disk.remount("ro")
        direct = home.run(program="queuectld")
        assert direct.returncode == 1
        assert direct.stderr.splitlines()[-1] == (
            f"queuectld: cannot use the state directory {disk.path}: "
            f"Read-only file system: {disk.path}/lock"
        )
        started = home.run("status")
        assert started.returncode == 3
        assert "Read-only file system" in started.stderr
        disk.remount("rw")
        home.serve()
        assert home.job(job)["state"] == "pending"


@pytest.mark.parametrize("what", ["queuectl.db", "queuectl.db-wal", "."])
def test_what_vanishes_takes_no_acknowledgement_with_it(what: str) -> None:
    """A database that was deleted or moved away under the daemon takes no more jobs."""
    with a_home() as home:
        daemon = home.serve()
        with home.connect() as client:
            for _ in range(3):
                client.call("enqueue", job={"command": "true"})
            if what == ".":
                for each in home.root.iterdir():
                    if each != home.work:
                        shutil.rmtree(each) if each.is_dir() else each.unlink()
            else:
                (home.root / what).rename(home.work / what)
            refused = client.refused("enqueue", job={"command": "true"})
            assert (refused.code, refused.retryable) == ("storage_error", False)
            assert "was removed or replaced while the daemon was running" in (
                refused.message
            )
            assert client.call("status")["pending"] == 3
            checks = client.call("doctor")["checks"]
            if what != "queuectl.db-wal":
                assert (checks[0]["name"], checks[0]["level"]) == ("database", "error")
            if what != ".":
                (home.work / what).rename(home.root / what)
                client.call("enqueue", job={"command": "true"})
            client.call("daemon.stop")
        assert daemon.wait(20) == 0
        assert home.gone()


def test_a_database_put_in_the_place_of_an_open_one_is_not_written_over() -> None:
    """Somebody restores a copy and forgets to stop the daemon first."""
    with a_home() as home:
        daemon = home.serve()
        home.enqueue("echo original")
        home.ctl("backup", str(home.work / "copy.db"))
        home.enqueue("echo later")
        (home.work / "copy.db").replace(home.root / "queuectl.db")
        before = (home.root / "queuectl.db").read_bytes()
        done = home.run("enqueue", "echo lost")
        assert done.returncode == 1
        assert "was removed or replaced" in done.stderr
        assert (home.root / "queuectl.db").read_bytes() == before
        home.ask("daemon.stop")
        daemon.wait(20)
        assert (home.root / "queuectl.db").read_bytes() == before
