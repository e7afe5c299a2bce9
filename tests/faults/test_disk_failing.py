"""The disk fails, becomes read-only, or goes away with what was on it.

Nothing that was acknowledged is lost and nothing is acknowledged that will be; jobs
that run go on, reads are answered, and when the disk works again, so does all else.
"""

import os
import shutil
from collections.abc import Iterator

import pytest

from faults import disks
from faults.disks import SmallDisk
from helpers import traced, waiting
from helpers.home import a_home
from queuectl_protocol.messages import Reply

needs_mount = pytest.mark.skipif(
    os.geteuid() != 0 or not disks.can_mount(), reason="needs to mount a tmpfs: root"
)
needs_strace = pytest.mark.skipif(
    not traced.available(), reason="needs strace, and to be allowed to trace"
)


@pytest.fixture
def disk() -> Iterator[SmallDisk]:
    """Give a file system of 4 MiB."""
    with disks.a_small_disk() as disk:
        yield disk


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
    """Running jobs continue, reads are answered, and later everything continues."""
    with a_home() as home:
        home.serve()
        gate = home.gate()
        home.ask("workers.start")
        kept = home.enqueue("true")
        home.ended(kept)
        runs = home.enqueue("read _ <gate; echo ran >>runs")
        home.until_state(runs, "processing")
        with home.connect() as client, disks.failing(home.daemon, call, error):
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
        with home.connect() as client, disks.failing(home.daemon, call, "EIO", when):
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
    with disks.a_home_on(disk) as home:
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
        started = home.run("enqueue", "true")
        assert started.returncode == 3
        assert "Read-only file system" in started.stderr
        disk.remount("rw")
        home.serve()
        assert home.job(job)["state"] == "pending"


@pytest.mark.parametrize("what", ["queuectl.db", "queuectl.db-wal", "."])
def test_what_vanishes_takes_no_acknowledgement_with_it(what: str) -> None:
    """A daemon whose database was deleted or moved away accepts no more jobs."""
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
    """As when a copy is restored while the daemon still runs."""
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
