"""Stopping workers: what runs finishes or is interrupted, and nothing is left."""

import os
import signal
import subprocess

import pytest

from helpers import processes, waiting
from helpers.home import ALONE, Home
from helpers.rawclient import PATIENCE

TALK = f"{ALONE} echo >running; read _ <gate; echo after"
HOLD_ONCE = (
    f"{ALONE} [ $QUEUECTL_ATTEMPT -gt 1 ] || "
    "{ setsid sleep 600 & (setsid sleep 600 &); echo >running; sleep 600; }"
)
STUBBORN_ONCE = (
    f"{ALONE} [ $QUEUECTL_ATTEMPT -gt 1 ] || "
    "{ trap '' TERM; echo >running; while :; do sleep 600; done; }"
)


def assert_only_the_daemon_is_left(home: Home) -> None:
    """No worker, no process of a job, no zombie, no record, no job in processing."""
    assert [seen.pid for seen in home.processes()] == [home.daemon]
    assert processes.children(home.daemon) == [], "the daemon has not reaped them"
    assert home.workers() == []
    assert list((home.root / "workers").iterdir()) == []
    assert home.ask("status")["processing"] == 0


def assert_interrupted(home: Home, job: str) -> None:
    """It is pending, nothing counts, and it runs again when there is a worker."""
    found = home.job(job)
    assert (found["state"], found["attempts"], found["runs"]) == ("pending", 0, 1)
    assert home.reasons(job) == ["interrupted"]
    home.ctl("worker", "start")
    end = home.ended(job)
    assert (end["state"], end["attempts"], end["runs"]) == ("completed", 1, 2)
    assert not home.overlapped()


def test_worker_stop_waits_for_running_jobs_and_begins_no_other(home: Home) -> None:
    """It returns when every worker process is gone; waiting jobs stay pending."""
    home.ctl("worker", "start", "--count", "3")
    gate = home.gate()
    job = home.enqueue(TALK)
    home.appears("running")
    stopping = home.begin("worker", "stop")
    waiting.until(lambda: len(home.workers()) == 1, "the idle ones have left")
    waits = home.enqueue("true", priority=9)
    assert stopping.poll() is None
    gate.open()

    assert stopping.communicate()[0] == "3 workers stopped\n"
    assert stopping.returncode == 0
    assert_only_the_daemon_is_left(home)
    assert home.job(job)["state"] == "completed"
    assert home.job(waits)["state"] == "pending"
    assert home.ask("workers.list")["wanted"] == 0


@pytest.mark.parametrize("command", [HOLD_ONCE, STUBBORN_ONCE])
@pytest.mark.parametrize("option", ["--now", "--timeout=0.2s"])
def test_worker_stop_interrupts_what_does_not_end(
    home: Home, option: str, command: str
) -> None:
    """The job and all that it started are gone; it is pending and not counted."""
    home.ctl("worker", "start", "--count", "2")
    home.configure(kill_grace="0.3")
    job = home.enqueue(command)
    home.appears("running")
    assert home.ctl("worker", "stop", option).splitlines() == [
        "2 workers stopped",
        "1 job interrupted, and pending again",
    ]
    assert_only_the_daemon_is_left(home)
    assert_interrupted(home, job)


def test_a_timeout_that_does_not_run_out_interrupts_nothing(home: Home) -> None:
    """A job that ends in time is completed."""
    home.ctl("worker", "start")
    gate = home.gate()
    job = home.enqueue(TALK)
    home.appears("running")
    stopping = home.begin("worker", "stop", "--timeout", "1m")
    waiting.until(lambda: home.workers()[0]["state"] == "stopping", "it is told")
    gate.open()
    assert stopping.communicate()[0] == "1 worker stopped\n"
    assert home.job(job)["state"] == "completed"
    assert_only_the_daemon_is_left(home)


def test_a_stop_that_waits_is_hurried_by_a_second_one(home: Home) -> None:
    """`--now` from elsewhere; both return when all is over."""
    home.ctl("worker", "start")
    job = home.enqueue(HOLD_ONCE)
    home.appears("running")
    stopping = home.begin("worker", "stop")
    waiting.until(lambda: home.workers()[0]["state"] == "stopping", "it is told")
    home.ctl("worker", "stop", "--now")
    assert stopping.wait(PATIENCE) == 0
    assert_only_the_daemon_is_left(home)
    assert_interrupted(home, job)


def test_a_stop_that_nobody_waits_for_goes_on(home: Home) -> None:
    """Ctrl-C ends `worker stop`, and not the stop."""
    home.ctl("worker", "start")
    gate = home.gate()
    home.enqueue(TALK)
    home.appears("running")
    stopping = home.begin("worker", "stop")
    waiting.until(lambda: home.workers()[0]["state"] == "stopping", "it is told")
    home.kill(stopping.pid, number=signal.SIGINT)
    assert stopping.wait() == -signal.SIGINT
    gate.open()
    waiting.until(lambda: home.workers() == [], "the worker has left")
    assert_only_the_daemon_is_left(home)


def test_workers_of_the_next_start_are_not_stopped(home: Home) -> None:
    """A stop concerns the workers there are; those started after it stay."""
    home.ctl("worker", "start")
    gate = home.gate()
    job = home.enqueue(TALK)
    home.appears("running")
    stopping = home.begin("worker", "stop")
    waiting.until(lambda: home.workers()[0]["state"] == "stopping", "it is told")
    home.ctl("worker", "start")
    other = home.enqueue("true")
    assert home.ended(other)["state"] == "completed"
    assert home.job(job)["state"] == "processing"
    gate.open()
    assert stopping.wait(PATIENCE) == 0
    assert [worker["state"] for worker in home.workers()] == ["idle"]
    assert home.ask("workers.list")["wanted"] == 1


def foreground(home: Home, count: int = 1) -> "subprocess.Popen[str]":
    """Start workers in the foreground; return when they are ready."""
    client = home.begin("worker", "start", "--foreground", "--count", str(count))
    assert client.stdout is not None
    assert "ready" in client.stdout.readline()
    return client


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_foreground_workers_gracefully(
    home: Home, number: signal.Signals
) -> None:
    """Their jobs finish; the command returns when they are gone, with status 0."""
    client = foreground(home, count=2)
    assert home.ask("workers.list")["wanted"] == 0
    gate = home.gate()
    job = home.enqueue(TALK)
    home.appears("running")
    home.send(client.pid, number)
    waiting.until(lambda: len(home.workers()) == 1, "the idle one has left")
    assert client.poll() is None
    gate.open()
    assert client.communicate()[0] == "2 workers stopped\n"
    assert client.returncode == 0
    assert home.job(job)["state"] == "completed"
    assert_only_the_daemon_is_left(home)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_interrupts_foreground_workers(
    home: Home, number: signal.Signals
) -> None:
    """Who presses Ctrl-C again will not wait."""
    client = foreground(home)
    job = home.enqueue(HOLD_ONCE)
    home.appears("running")
    home.send(client.pid, number)
    waiting.until(lambda: home.workers()[0]["state"] == "stopping", "it is told")
    home.send(client.pid, number)
    assert "1 job interrupted" in client.communicate()[0], (
        home.root / "queuectl.stderr"
    ).read_text()
    assert client.returncode == 0
    assert_only_the_daemon_is_left(home)
    assert_interrupted(home, job)


def test_workers_of_a_client_that_is_killed_stop_gracefully(home: Home) -> None:
    """The daemon sees the connection end: the job finishes, then the workers leave."""
    client = foreground(home, count=2)
    gate = home.gate()
    job = home.enqueue(TALK)
    home.appears("running")
    waits = home.enqueue("true")
    home.ended(waits)
    home.kill(client.pid)
    waiting.until(lambda: len(home.workers()) == 1, "the idle one has left")
    later = home.enqueue("true")
    gate.open()
    assert home.ended(job)["state"] == "completed"
    waiting.until(lambda: home.workers() == [], "the other one has left")
    assert_only_the_daemon_is_left(home)
    assert home.job(later)["state"] == "pending"


def test_ctrl_c_reaches_neither_the_daemon_nor_its_jobs(home: Home) -> None:
    """A daemon that a client started is not in its terminal's process group."""
    client = foreground(home)
    gate = home.gate()
    job = home.enqueue(TALK)
    home.appears("running")
    groups = {os.getpgid(seen.pid) for seen in home.processes()}
    assert os.getpgid(client.pid) in groups
    members = [
        seen.pid
        for seen in home.processes()
        if os.getpgid(seen.pid) == os.getpgid(client.pid)
    ]
    assert members == [client.pid]
    gate.open()
    home.ended(job)
    home.send(client.pid, signal.SIGINT)
    assert client.wait(PATIENCE) == 0


def test_foreground_workers_come_and_go_beside_the_others(home: Home) -> None:
    """Ctrl-C stops its own workers; a killed one of them is replaced for it."""
    home.ctl("worker", "start")
    (kept,) = home.workers()
    client = foreground(home)
    (bound,) = [worker for worker in home.workers() if worker["bound"]]
    home.kill(bound["pid"])
    waiting.until(
        lambda: [w["state"] for w in home.workers()] == ["idle", "idle"], "another"
    )
    (again,) = [worker for worker in home.workers() if worker["bound"]]
    assert again["pid"] != bound["pid"]
    home.send(client.pid, signal.SIGINT)
    assert client.wait(PATIENCE) == 0
    # The one that replaced another ends because its owner has gone, so just after it.
    waiting.until(
        lambda: [worker["pid"] for worker in home.workers()] == [kept["pid"]], "it ends"
    )
