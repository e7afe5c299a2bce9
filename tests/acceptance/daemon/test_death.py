"""The daemon is killed or restarted: running jobs go on, and the next one knows all."""

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers import waiting
from helpers.home import ALONE, Home

TALK = f"{ALONE} echo before; echo >running; read _ <gate; echo after"
"""A job that runs until its gate is opened."""

HOLD_ONCE = (
    f"{ALONE} echo $QUEUECTL_ATTEMPT; [ $QUEUECTL_ATTEMPT -gt 1 ] || "
    "{ setsid sleep 600 & (setsid sleep 600 &); echo >running; sleep 600; }"
)


def crash(home: Home) -> None:
    """Kill the daemon; the next command starts another."""
    home.kill(home.daemon)


def leave(home: Home) -> None:
    """Tell the daemon by signal to go and leave its workers."""
    home.kill(home.daemon, number=signal.SIGUSR1)


def restart(home: Home) -> None:
    """Tell the daemon by command."""
    home.ctl("daemon", "restart")


ENDS = pytest.mark.parametrize("end", [crash, leave, restart])


@ENDS
def test_the_next_daemon_takes_over_a_running_jobs_result(
    home: Home, end: Callable[[Home], None]
) -> None:
    """One attempt, completed, output whole: the job did not notice."""
    home.ctl("worker", "start")
    gate = home.gate()
    job = home.enqueue(TALK)
    home.appears("running")
    before, worker = home.daemon, home.worker_of(job)

    end(home)
    home.ctl("daemon", "start")
    assert home.ctl("status").splitlines()[1].split() == ["Processing:", "1"]
    assert home.daemon != before
    adopted = home.worker_of(job)
    assert (adopted["pid"], adopted["adopted"]) == (worker["pid"], True)
    gate.open()

    assert home.ended(job)["state"] == "completed"
    (attempt,) = home.attempts(job)
    assert (attempt["run"], attempt["reason"]) == (1, "exit")
    assert home.output(job) == "before\nafter\n"
    assert not home.overlapped()


@pytest.mark.parametrize("end", [crash, leave])
def test_a_job_that_ended_while_no_daemon_ran_is_recorded_once(
    home: Home, end: Callable[[Home], None]
) -> None:
    """Its worker kept the result, in the spool, for the daemon that comes next."""
    home.ctl("worker", "start", "--count", "2")
    gate = home.gate()
    good = home.enqueue(TALK)
    home.appears("running")
    bad = home.enqueue("echo >running2; read _ <gate; exit 7", max_retries=0)
    home.appears("running2")

    end(home)
    gate.open(2)
    waiting.until(home.gone, "all workers have ended by themselves")
    assert len(list((home.root / "spool").glob("*.json"))) == 2

    home.ctl("daemon", "start")
    assert home.job(good)["state"] == "completed"
    assert home.output(good) == "before\nafter\n"
    found = home.job(bad)
    assert (found["state"], found["exit_code"]) == ("dead", 7)
    assert home.reasons(good) == home.reasons(bad) == ["exit"]
    status = home.ask("status")
    assert (status["completed"], status["dead"], status["processing"]) == (1, 1, 0)
    assert list((home.root / "spool").iterdir()) == []


@pytest.mark.parametrize("order", ["daemon first", "workers first"])
def test_when_daemon_and_workers_are_killed_the_old_attempt_ends_before_the_next(
    home: Home, order: str
) -> None:
    """What left its session and lost its parent is found and ended as well."""
    home.ctl("worker", "start", "--count", "2")
    job = home.enqueue(HOLD_ONCE)
    home.appears("running")
    workers = [worker["pid"] for worker in home.workers()]
    daemon = home.daemon
    if order == "workers first":
        # The daemon sees nothing of it: it is stopped.
        home.send(daemon, signal.SIGSTOP)
        home.kill(*workers, daemon)
    else:
        home.kill(daemon, *workers)
    # The job, the two that left its session, and maybe its own child by now.
    assert len(home.processes()) >= 3

    home.ctl("daemon", "start")
    assert home.ended(job)["state"] == "completed"
    assert not home.overlapped()
    assert home.reasons(job) == ["lost", "exit"]
    assert home.output(job) == "2\n"
    assert all("sleep" not in seen.command for seen in home.processes())


def test_idle_workers_end_with_their_daemon(home: Home) -> None:
    """They leave no record, and the next daemon starts as many."""
    home.ctl("worker", "start", "--count", "3")
    home.kill(home.daemon)
    waiting.until(home.gone, "the workers have ended")
    assert list((home.root / "workers").iterdir()) == []

    home.ctl("daemon", "start")
    waiting.until(
        lambda: [w["state"] for w in home.workers()] == ["idle"] * 3, "three others"
    )


def test_records_of_idle_workers_that_were_killed_are_removed(home: Home) -> None:
    """All of them: only those of the next daemon's workers are there."""
    home.ctl("worker", "start", "--count", "3")
    home.send(home.daemon, signal.SIGSTOP)  # else it would replace them
    records = home.root / "workers"
    names = {file.stem for file in records.iterdir()}
    home.kill(*(record_pid(file) for file in records.iterdir()))
    home.kill(home.daemon)
    assert {file.stem for file in records.iterdir()} == names == {"1", "2", "3"}
    # One more that had just begun: there is no way to kill it in that moment.
    (records / "0.json").touch()

    home.ctl("daemon", "start")
    waiting.until(
        lambda: [w["state"] for w in home.workers()] == ["idle"] * 3, "three others"
    )
    assert {file.stem for file in records.iterdir()} == {"4", "5", "6"}


def record_pid(file: Path) -> int:
    """Return the pid in a worker's record."""
    pid: int = json.loads(file.read_text())["pid"]
    return pid


@ENDS
def test_the_wanted_number_of_workers_survives(
    home: Home, end: Callable[[Home], None]
) -> None:
    """Adopted workers count until they end; then others take their place."""
    home.ctl("worker", "start", "--count", "3")
    gate = home.gate()
    job = home.enqueue(TALK)
    home.appears("running")
    end(home)
    home.ctl("daemon", "start")
    waiting.until(
        lambda: sorted(w["state"] for w in home.workers()) == ["busy", "idle", "idle"],
        "two are started beside the adopted one",
    )
    gate.open()
    home.ended(job)
    waiting.until(
        lambda: [w["state"] for w in home.workers()] == ["idle"] * 3, "and a third"
    )
    assert home.ask("workers.list")["wanted"] == 3
    assert not any(worker["adopted"] for worker in home.workers())


def test_a_job_of_an_adopted_worker_can_be_cancelled(home: Home) -> None:
    """`cancel` returns when the job's processes are gone, as with any other worker."""
    home.ctl("worker", "start")
    job = home.enqueue(HOLD_ONCE)
    home.appears("running")
    home.kill(home.daemon)
    home.ctl("daemon", "start")

    home.ctl("cancel", job)
    assert all("sleep" not in seen.command for seen in home.processes())
    end = home.job(job)
    assert (end["state"], end["reason"]) == ("cancelled", "cancelled")
    assert home.reasons(job) == ["cancelled"]


def test_a_cancel_that_was_only_committed_is_carried_out(home: Home) -> None:
    """A daemon that dies between commit and kill leaves the kill to the next one."""
    home.ctl("worker", "start")
    job = home.enqueue(HOLD_ONCE)
    home.appears("running")
    home.kill(home.daemon)
    # There is no way to kill it in just that moment, so make the moment.
    home.edit("UPDATE jobs SET cancel_requested = 1")

    home.ctl("daemon", "start")
    assert home.ended(job)["state"] == "cancelled"
    assert home.reasons(job) == ["cancelled"]
    assert all("sleep" not in seen.command for seen in home.processes())


def test_worker_stop_waits_for_adopted_workers(home: Home) -> None:
    """Their jobs finish, their results are recorded, and then none is left."""
    home.ctl("worker", "start", "--count", "2")
    gate = home.gate()
    job = home.enqueue(TALK)
    home.appears("running")
    home.kill(home.daemon)
    home.ctl("daemon", "start")

    stopping = home.begin("worker", "stop")
    waiting.until(
        lambda: {w["state"] for w in home.workers()} == {"stopping"}, "they stop"
    )
    assert stopping.poll() is None
    gate.open()
    assert stopping.wait(10) == 0
    assert home.job(job)["state"] == "completed"
    assert home.workers() == []
    assert [seen.pid for seen in home.processes()] == [home.daemon]


@pytest.mark.parametrize("option", ["--now", "--timeout=0.2s"])
def test_worker_stop_interrupts_jobs_of_adopted_workers(
    home: Home, option: str
) -> None:
    """The job is pending again, and the attempt does not count."""
    home.ctl("worker", "start")
    job = home.enqueue(HOLD_ONCE)
    home.appears("running")
    home.kill(home.daemon)
    home.ctl("daemon", "start")

    said = home.ctl("worker", "stop", option)
    assert "1 job interrupted, and pending again" in said
    assert [seen.pid for seen in home.processes()] == [home.daemon]
    found = home.job(job)
    assert (found["state"], found["attempts"]) == ("pending", 0)
    assert home.reasons(job) == ["interrupted"]


def test_an_adopted_workers_job_is_still_held_to_its_timeout(home: Home) -> None:
    """By its worker; and by the daemon, when the worker is stuck."""
    home.ctl("worker", "start", "--count", "2")
    home.configure(kill_grace="0")
    own = home.enqueue("echo >own; sleep 600", timeout=1, max_retries=0)
    stuck = home.enqueue("echo >stuck; sleep 600", timeout=1, max_retries=0)
    for name in ("own", "stuck"):
        home.appears(name)
    home.send(home.worker_of(stuck)["pid"], signal.SIGSTOP)
    home.kill(home.daemon)
    home.ctl("daemon", "start")

    assert home.ended(own)["reason"] == "timeout"
    assert home.ended(stuck)["reason"] == "timeout"
    assert "killed with it" in home.job(stuck)["message"]


def test_a_killed_adopted_worker_is_noticed_at_once(home: Home) -> None:
    """Its job is lost, and runs again on a worker of the daemon's own."""
    home.ctl("worker", "start")
    job = home.enqueue(HOLD_ONCE)
    home.appears("running")
    home.kill(home.daemon)
    home.ctl("daemon", "start")
    home.kill(home.worker_of(job)["pid"])
    assert home.ended(job)["state"] == "completed"
    assert home.reasons(job) == ["lost", "exit"]
    assert not home.overlapped()


def test_a_job_outlives_several_daemons(home: Home) -> None:
    """Three crashes in a row, one attempt."""
    home.ctl("worker", "start")
    gate = home.gate()
    job = home.enqueue(TALK)
    home.appears("running")
    for _ in range(3):
        home.kill(home.daemon)
        home.ctl("daemon", "start")
    gate.open()
    assert home.ended(job)["state"] == "completed"
    assert home.reasons(job) == ["exit"]


def test_waiting_and_following_go_on_across_a_crash(home: Home) -> None:
    """`wait` and `logs --follow` find the next daemon, and miss and repeat nothing."""
    home.ctl("worker", "start")
    gate = home.gate()
    job = home.enqueue(TALK)
    home.appears("running")
    follow = home.begin("logs", "--follow", job)
    wait = home.begin("wait", job)
    assert follow.stdout is not None
    assert follow.stdout.readline() == "before\n"
    waiting.until(lambda: home.ask("daemon.status")["connections"] == 3, "both are on")
    home.kill(home.daemon)
    home.ctl("daemon", "start")  # which is not theirs to do
    gate.open()
    assert follow.communicate()[0] == "after\n"
    assert wait.wait(20) == 0
    assert home.reasons(job) == ["exit"]
