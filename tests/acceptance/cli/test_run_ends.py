"""``run``: how it ends, whatever happens to client, worker, daemon or disk."""

import re
import signal
import subprocess

import pytest

from helpers import hindered, waiting
from helpers.cli import Cli, Said
from helpers.home import BIN
from helpers.rawclient import PATIENCE
from helpers.runs import begin, ended, no_workers


def test_a_client_that_is_killed_leaves_the_job_to_its_worker(fresh: Cli) -> None:
    """Which finishes it, and then ends, though nobody is there any more."""
    gate = fresh.home.gate()
    child = begin(fresh.home, "echo >mine; read _ <gate")
    fresh.home.appears("mine")
    (job,) = fresh.home.ask("list")["jobs"]
    child.kill()
    child.communicate()
    waiting.until(
        lambda: [w["state"] for w in fresh.home.workers()] == ["stopping"], "it is seen"
    )
    gate.open()
    assert fresh.home.ended(job["id"])["state"] == "completed"
    no_workers(fresh.home)


def test_a_worker_that_is_killed_ends_the_run(fresh: Cli) -> None:
    """The job has no retries: it is dead, and its loss is told; none comes in vain."""
    child = begin(fresh.home, "echo >mine; sleep 607")
    fresh.home.appears("mine")
    (worker,) = fresh.home.workers()
    fresh.home.kill(worker["pid"])
    said = ended(child)
    assert said.code == 1
    assert "queuectl: " in said.err
    no_workers(fresh.home)
    (job,) = fresh.home.ask("list")["jobs"]
    assert (job["state"], job["reason"], job["runs"]) == ("dead", "lost", 1)


def test_a_daemon_that_is_killed_does_not_end_the_run(fresh: Cli) -> None:
    """The next one has the result, and the run its output and its code."""
    gate = fresh.home.gate()
    child = begin(fresh.home, "echo begun >mine; read _ <gate; echo done; exit 6")
    fresh.home.appears("mine")
    fresh.home.kill(fresh.home.daemon)
    fresh.ok("daemon", "start")
    gate.open()
    assert ended(child) == Said(6, "done\n", "")
    no_workers(fresh.home)


def test_a_run_that_has_not_begun_gets_its_worker_from_the_next_daemon(
    fresh: Cli,
) -> None:
    """Bound workers do not outlive a daemon, and its job waits still."""
    fresh.ok("daemon", "start")
    gate = fresh.home.gate()
    fresh.ok("worker", "start")
    fresh.enqueue("echo >busy; read _ <gate")
    fresh.home.appears("busy")
    child = begin(fresh.home, "echo here")
    assert child.stderr
    assert "waits for the worker" in child.stderr.readline()
    stopping = fresh.home.begin("worker", "stop")
    waiting.until(
        lambda: [w["state"] for w in fresh.home.workers()] == ["stopping"], "it is told"
    )
    gate.open()
    assert stopping.wait(PATIENCE) == 0
    assert fresh.home.workers() == []
    fresh.home.kill(fresh.home.daemon)
    assert ended(child) == Said(0, "here\n", "")


def test_a_terminal_that_is_closed_cancels_the_job(fresh: Cli) -> None:
    """As it hangs up on any program there; nothing of the job is left."""
    with fresh.terminal("run", "echo ready; sleep 608") as terminal:
        terminal.until("ready\r\n")
        terminal.hang_up()
    (job,) = fresh.home.ask("list")["jobs"]
    assert fresh.home.ended(job["id"])["state"] == "cancelled"
    assert not [s for s in fresh.home.processes() if "sleep 608" in s.command]
    no_workers(fresh.home)


def test_a_reader_that_pauses_holds_up_nobody(fresh: Cli) -> None:
    """The job writes into files and ends; all of it comes when it is read."""
    size = 3_000_000
    child = begin(fresh.home, f"head -c {size} /dev/zero | tr '\\0' x; echo >written")
    fresh.home.appears("written")
    (job,) = fresh.home.ask("list")["jobs"]
    assert fresh.home.ended(job["id"])["state"] == "completed"
    said = ended(child)
    assert (said.code, len(said.out), said.err) == (0, size, "")


def test_a_terminal_is_needed_for_none_of_it(fresh: Cli) -> None:
    """The worker ends with the run, in a session without a terminal too."""
    child = subprocess.run(
        [BIN / "queuectl", "run", "echo here"],
        cwd=fresh.home.work,
        env=fresh.home.environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        start_new_session=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (child.returncode, child.stdout, child.stderr) == (0, "here\n", "")
    no_workers(fresh.home)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_waiting_too(fresh: Cli, number: signal.Signals) -> None:
    """The job that has not begun is cancelled, and never will."""
    fresh.ok("worker", "start")
    gate = fresh.home.gate()
    fresh.enqueue("echo >busy; read _ <gate")
    fresh.home.appears("busy")
    child = begin(fresh.home, "echo here")
    assert child.stderr
    assert "it is the next" in child.stderr.readline()
    child.send_signal(number)
    assert ended(child) == Said(130, "", "")
    (job,) = fresh.home.ask("list", limit=1)["jobs"]
    assert (job["state"], job["runs"]) == ("cancelled", 0)
    gate.open()


def test_a_full_disk_refuses_the_run(fresh: Cli) -> None:
    """At once, with the reason; nothing is left of it."""
    hindered.serve(fresh.home)
    (fresh.home.root / "full").touch()
    assert fresh.refused("run", "true").startswith("no room")
    (fresh.home.root / "full").unlink()
    assert fresh.home.ask("list")["jobs"] == []
    assert fresh.home.workers() == []


def test_a_disk_that_is_full_for_a_while_holds_up_the_run(fresh: Cli) -> None:
    """Its result is kept until there is room; then it ends as the job did."""
    hindered.serve(fresh.home, constants={"control.attempts.RETRY": 0.05})
    gate = fresh.home.gate()
    child = begin(fresh.home, "echo begun >mine; read _ <gate; echo done; exit 3")
    fresh.home.appears("mine")
    (fresh.home.root / "full").touch()
    gate.open()
    waiting.until(lambda: fresh.home.ask("health")["unstored"] == 1, "it has ended")
    assert child.poll() is None
    (fresh.home.root / "full").unlink()
    assert ended(child) == Said(3, "done\n", "")
    no_workers(fresh.home)


def test_a_worker_that_cannot_be_started_is_tried_again(fresh: Cli) -> None:
    """The run says that it waits for it."""
    hindered.serve(fresh.home)
    (fresh.home.root / "nofork").touch()
    child = begin(fresh.home, "echo here")
    assert child.stderr
    assert re.fullmatch(
        r"job 1 waits: no workers are running; .*\n", child.stderr.readline()
    )
    (fresh.home.root / "nofork").unlink()
    assert ended(child) == Said(0, "here\n", "")
    no_workers(fresh.home)


def test_a_client_that_goes_before_its_worker_comes_gets_none(fresh: Cli) -> None:
    """Its connection is over while its job is looked for: no worker is made."""
    home = fresh.home
    hindered.serve(home)
    job = home.enqueue("true")
    with hindered.held(home, "read") as hold:
        with home.connect() as client:
            client.send("workers.reserve", id=job)
            hold.reached()
        home.ask("ping")  # by the answer, the end before it has been seen as well
    assert home.ask("position", id=job)["ready"] is True
    started = [home.ask("workers.start")["workers"][0]["worker"] for _ in range(2)]
    assert started == [1, 2], "another one has had a number"
