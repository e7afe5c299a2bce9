"""Jobs that use up a resource, and jobs that look like a worker."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from faults.unprivileged import a_users_home, limit_processes
from helpers import processes, waiting
from helpers.home import BIN, Home, a_home
from helpers.users import needs_root
from queuectl_protocol.errors import ErrorCode
from queuectld.linux import procfs
from queuectld.workers.shared import records
from queuectld.workers.shared.records import WorkerRecord

PYTHON = str(BIN / "python")


@pytest.fixture
def home() -> Iterator[Home]:
    """A home with a worker, and short time limits for jobs."""
    with a_home() as made:
        made.serve()
        made.ask("workers.start")
        made.configure(kill_grace="0.3", max_retries="0")
        yield made


# -- limits ---------------------------------------------------------------------------

GREEDY = "print(flush=True); x = bytearray(8 << 30)"

DESPERATE = f"import os\ntry:\n {GREEDY}\nexcept MemoryError:\n os.abort()"

LIMITED = {
    "memory, and it says so": (
        f"ulimit -v 200000; exec {PYTHON} -c '{GREEDY}'",
        {"reason": "exit", "exit_code": 1, "signal": None},
    ),
    "memory, and it aborts": (
        f"ulimit -v 200000; exec {PYTHON} -c '{DESPERATE}'",
        {"reason": "signal", "exit_code": None, "signal": signal.SIGABRT},
    ),
    "the size of its files": (
        "ulimit -f 1; exec head -c 100000 /dev/zero",
        {"reason": "signal", "exit_code": None, "signal": signal.SIGXFSZ},
    ),
    "open files": (
        "ulimit -n 3; exec cat /dev/null",
        {"reason": "exit", "signal": None},
    ),
}


def test_a_limit_of_its_own_is_recorded_as_what_it_was(home: Home) -> None:
    """The program's exit code or signal is recorded; the worker is not involved."""
    for what, (command, end) in LIMITED.items():
        job = home.ended(home.enqueue(command))
        assert job["state"] == "dead", what
        assert end.items() <= job.items(), (what, job)
    assert home.ended(home.enqueue("true"))["state"] == "completed"
    (worker,) = home.workers()
    assert worker["worker"] == 1


# -- no more processes ----------------------------------------------------------------


def test_a_job_that_cannot_be_forked_says_so_and_is_tried_again() -> None:
    """Its attempt is a spawn error; the worker works again once there is room."""
    with a_users_home() as home:
        home.ask("workers.start")
        (worker,) = home.workers()
        limit_processes(worker["pid"], 1)
        job = home.enqueue("true", max_retries=1000, backoff_max=0.05)
        waiting.until(lambda: home.job(job)["attempts"] >= 3, "it is tried again")
        limit_processes(worker["pid"], None)
        assert home.ended(job)["state"] == "completed"
        failed, *_, good = home.attempts(job)
        assert failed["reason"] == "spawn_error"
        assert "no more processes" in failed["message"]
        assert good["exit_code"] == 0
        assert [each["pid"] for each in home.workers()] == [worker["pid"]]


def test_a_daemon_that_cannot_fork_serves_and_starts_workers_later() -> None:
    """A worker that died is replaced soon after there is room again."""
    with a_users_home() as home:
        home.ask("workers.start")
        (worker,) = home.workers()
        limit_processes(home.daemon, 1)
        home.kill(worker["pid"])
        waiting.until(lambda: "worker_not_started" in home.log(), "it cannot")
        job = home.enqueue("true")
        for method in ("status", "list", "stats", "daemon.status", "doctor"):
            home.ask(method)
        assert home.ask("logs.read", id=job, stream="stdout")["data"] == b""
        limit_processes(home.daemon, None)
        assert home.ended(job)["state"] == "completed"


BOMB = """
import os, signal
print(flush=True)
while True:
    try:
        os.fork()
    except OSError:
        signal.sigtimedwait([], 0.01)
"""


@needs_root
def test_a_fork_bomb_ends_with_its_timeout() -> None:
    """The user's limit bounds it; other requests and jobs are served meanwhile."""
    with a_users_home() as home:
        home.ask("workers.start", count=2)
        home.configure(kill_grace="0.2", max_retries="0")
        for worker in home.workers():
            limit_processes(worker["pid"], 60)
        bomb = home.enqueue([PYTHON, "-c", BOMB], timeout=1.5)
        # The job has its worker's limit; the other worker must have room beside it.
        waiting.until(lambda: home.job(bomb)["state"] == "processing", "it runs")
        bombed = home.worker_of(bomb)["pid"]
        (other,) = [each for each in home.workers() if each["pid"] != bombed]
        limit_processes(other["pid"], None)
        waiting.until(lambda: len(processes.below(bombed)) > 40, "it multiplies")
        assert home.ended(home.enqueue("true"))["state"] == "completed"
        assert home.ended(bomb)["reason"] == "timeout"
        assert processes.below(bombed) == []
        assert [each["pid"] for each in home.workers()].count(bombed) == 1


# -- no more descriptors --------------------------------------------------------------


def test_without_descriptors_whoever_is_connected_is_served(home: Home) -> None:
    """Jobs are accepted and run; a request that must open a file gets an error."""
    done = home.enqueue("echo out")
    home.ended(done)
    with home.connect() as client:
        client.greeting()
        _, hard = resource.prlimit(home.daemon, resource.RLIMIT_NOFILE)
        resource.prlimit(home.daemon, resource.RLIMIT_NOFILE, (3, hard))
        job = client.call("enqueue", job={"command": "echo out"})["job"]["id"]
        assert client.call("wait", id=job, timeout=10)["job"]["state"] == "completed"
        for method in ("status", "list", "stats", "workers.list"):
            client.call(method)
        for method, params in {
            "logs.read": {"id": job, "stream": "stdout"},
            "logs.follow": {"id": job},
            "daemon.status": {},
        }.items():
            failure = client.refused(method, **params)
            assert failure.code == ErrorCode.TOO_MANY_REQUESTS, method
            assert failure.retryable
            assert "file descriptor" in failure.message
        resource.prlimit(home.daemon, resource.RLIMIT_NOFILE, (hard, hard))
        assert client.call("logs.read", id=job, stream="stdout")["data"] == b"out\n"
    assert "Traceback" not in home.log()


# -- who signals whom -----------------------------------------------------------------


def to_its_workers_group(name: str) -> list[str]:
    """Return a job that sends a signal to its parent's process group, and stays."""
    send = f"os.killpg(os.getpgid(os.getppid()), signal.{name})"
    return [PYTHON, "-c", f"import os, signal; {send}; signal.pause()"]


def test_a_job_that_stops_its_workers_group_ends_with_its_timeout(home: Home) -> None:
    """Its stopped worker cannot end it: the daemon kills both, and replaces one."""
    (before,) = home.workers()
    job = home.enqueue(to_its_workers_group("SIGSTOP"), timeout=0.2)
    end = home.ended(job)
    assert (end["state"], end["reason"]) == ("dead", "timeout")
    assert home.ended(home.enqueue("true"))["state"] == "completed"
    (after,) = home.workers()
    assert after["pid"] != before["pid"]


def test_a_job_that_kills_its_workers_group_is_lost_and_nobody_else(
    home: Home,
) -> None:
    """The daemon and other workers are in other process groups."""
    home.ask("workers.start")
    gate = home.gate()
    beside = home.enqueue("echo >running; read _ <gate")
    home.appears("running")
    job = home.enqueue(to_its_workers_group("SIGKILL"))
    assert home.ended(job)["reason"] == "lost"
    gate.open()
    assert home.ended(beside)["state"] == "completed"
    assert home.reasons(beside) == ["exit"]


# -- who passes for whom --------------------------------------------------------------

WORKER = f"{sys.executable} -P -m queuectld.workers.worker_side"


def test_a_job_that_is_named_like_a_worker_is_a_job(home: Home) -> None:
    """It ends at its timeout, and when its worker dies."""
    named = (
        f"import os; open('running', 'w').write('1\\n'); "
        f"os.execv('/bin/sleep', ['{WORKER} 1', '600'])"
    )
    end = home.ended(home.enqueue([PYTHON, "-c", named], timeout=0.5))
    assert end["reason"] == "timeout"
    (home.work / "running").unlink()
    job = home.enqueue([PYTHON, "-c", named])
    home.appears("running")
    (worker,) = home.workers()
    home.kill(worker["pid"], home.daemon)
    home.serve()
    assert home.ended(job)["reason"] == "lost"
    waiting.until(lambda: len(home.workers()) == 1, "a worker is there")
    assert processes.below(home.workers()[0]["pid"]) == []


def test_a_job_that_runs_the_workers_program_fails(home: Home) -> None:
    """No daemon greets it: it is not a worker, and changes nothing of real ones."""
    path = os.pathsep.join(each for each in sys.path if each)
    command = f"PYTHONPATH='{path}' exec {WORKER} 1"
    end = home.ended(home.enqueue(command, timeout=10))
    assert (end["reason"], end["exit_code"]) == ("exit", 1)
    said = home.ask("logs.read", id=end["id"], stream="stderr")["data"]
    assert b"started by queuectld" in said
    assert home.ended(home.enqueue("true"))["state"] == "completed"
    assert len(list((home.root / "workers").iterdir())) == 1


def test_a_stranger_named_like_a_worker_is_let_live(home: Home) -> None:
    """A record with its pid does not make it a worker if its start time differs."""
    stranger = subprocess.Popen([f"{WORKER} 7", "600"], executable="/bin/sleep")
    try:
        (true_one,) = records.read_all(str(home.root / "workers"))
        home.kill(home.daemon, *(each["pid"] for each in home.workers()))
        ticks = procfs.start_ticks(stranger.pid)
        assert ticks is not None
        for number, began in ((7, ticks - 1), (8, ticks + 1)):
            forged = WorkerRecord(
                store=true_one.store,
                worker=number,
                boot_id=procfs.boot_id(),
                pid=stranger.pid,
                ticks=began,
            )
            path = records.file_of(str(home.root / "workers"), number)
            records.RecordFile(path).write(forged)
        home.serve()
        waiting.until(lambda: len(home.workers()) == 1, "a worker is there")
        assert home.ended(home.enqueue("true"))["state"] == "completed"
        home.ask("workers.stop", now=True)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()
    assert not Path(f"/proc/{stranger.pid}").exists()
