"""Workers and jobs that are killed: what becomes of the job, and of the rest."""

import re
import signal

import pytest

from helpers import waiting
from helpers.home import ALONE, Home, seconds

HOLD = "setsid sleep 600 & echo $$ $! >running; sleep 600"
"""A job, and a process that left its session, that never end by themselves."""

HOLD_ONCE = (
    f"{ALONE} echo $QUEUECTL_ATTEMPT; [ $QUEUECTL_ATTEMPT -gt 1 ] || {{ {HOLD}; }}"
)


def test_a_killed_workers_job_starts_again_at_once_and_completes(home: Home) -> None:
    """Within 2 s on a free worker, once nothing of the lost attempt is left."""
    home.ctl("worker", "start", "--count", "2")
    job = home.enqueue(HOLD_ONCE)
    home.appears("running")
    lost = home.worker_of(job)

    home.kill(lost["pid"])

    assert home.ended(job)["state"] == "completed"
    assert not home.overlapped()
    first, second = home.attempts(job)
    assert (first["reason"], second["reason"]) == ("lost", "exit")
    assert "died while the command ran" in first["message"]
    assert first["worker"] == lost["worker"] != second["worker"]
    # The loss is recorded when all of the attempt is gone, right after the kill.
    assert seconds(first["finished_at"], second["started_at"]) < 2
    assert home.job(job)["attempts"] == 2
    assert [home.output(job, run) for run in (1, 2)] == ["1\n", "2\n"]
    assert home.ask("stats")["lost"] == 1


def test_a_killed_worker_is_replaced(home: Home) -> None:
    """Busy or idle: as many are wanted and ready as before, under new numbers."""
    home.ctl("worker", "start", "--count", "2")
    home.enqueue(HOLD_ONCE)
    home.appears("running")
    before = home.workers()
    home.kill(*(worker["pid"] for worker in before))

    waiting.until(
        lambda: [worker["state"] for worker in home.workers()] == ["idle", "idle"],
        "two others are ready",
    )
    after = home.ask("workers.list")
    assert after["wanted"] == 2
    assert {w["worker"] for w in after["workers"]} == {3, 4}


def test_the_first_loss_is_retried_at_once_and_a_second_one_backs_off(
    home: Home,
) -> None:
    """Losses count as attempts; one says little about the job, two in a row more."""
    home.ctl("worker", "start", "--count", "2")
    hold_twice = HOLD_ONCE.replace("-gt 1", "-gt 2")
    job = home.enqueue(hold_twice, backoff_base=1, backoff_jitter=0)
    for _ in range(2):
        home.appears("running")
        (home.work / "running").unlink()
        home.kill(home.worker_of(job)["pid"])
    waits = home.until_state(job, "failed")
    assert seconds(waits["updated_at"], waits["run_at"]) == 1

    assert home.ended(job)["state"] == "completed"
    assert home.reasons(job) == ["lost", "lost", "exit"]
    first, second, third = home.attempts(job)
    assert seconds(first["finished_at"], second["started_at"]) < 0.9
    assert seconds(second["finished_at"], third["started_at"]) >= 1
    assert not home.overlapped()


def test_a_job_that_kills_its_worker_ends_in_the_dead_letter_queue(home: Home) -> None:
    """Every loss counts, so such a job does not go round for ever."""
    home.ctl("worker", "start")
    job = home.enqueue("kill -9 $PPID; sleep 600", max_retries=1)
    assert home.ended(job)["state"] == "dead"
    assert home.reasons(job) == ["lost", "lost"]


def test_a_job_that_interrupts_its_worker_does_not_go_round_for_ever(
    home: Home,
) -> None:
    """Its sender is gone before it can be told: ten runs are free, then they count."""
    home.ctl("worker", "start")
    # The worker looks when nothing is left of who sent it.
    interrupt = "kill -STOP $PPID; (/bin/kill -TERM $PPID); kill -CONT $PPID"
    job = home.enqueue(f"{interrupt}; sleep 600", max_retries=0)
    end = home.ended(job)
    assert (end["state"], end["attempts"], end["runs"]) == ("dead", 1, 11)
    assert "interrupted more than 10 times in a row" in end["message"]
    assert set(home.reasons(job)) == {"interrupted"}
    first = home.attempts(job)[0]["message"]
    assert first.startswith("its worker got SIGTERM from process ")
    assert f"job_id={job} " in re.findall("worker_trouble (.*)", home.log())[0]
    after = home.enqueue("true")
    assert home.ended(after)["state"] == "completed"


def test_a_job_whose_shell_is_killed_failed_of_that_signal(home: Home) -> None:
    """The worker lives on, and ends what the shell left behind."""
    home.ctl("worker", "start")
    job = home.enqueue(HOLD, max_retries=0)
    shell = int(home.appears("running").split()[0])
    worker = home.worker_of(job)

    home.kill(shell)

    end = home.ended(job)
    assert (end["state"], end["reason"]) == ("dead", "signal")
    assert (end["exit_code"], end["signal"]) == (None, signal.SIGKILL)
    assert end["message"].startswith("killed from outside the queue")
    assert "left behind" in end["message"]
    (left,) = home.workers()
    assert left["pid"] == worker["pid"]
    assert "sleep 600" not in {seen.command.strip() for seen in home.processes()}


def test_a_stopped_worker_is_killed_with_its_job_after_the_timeout(home: Home) -> None:
    """The daemon keeps a worker to timeout, grace and two seconds; reason timeout."""
    home.ctl("worker", "start")
    home.configure(kill_grace="0")
    job = home.enqueue(f"{ALONE} {HOLD}", timeout=0.5, max_retries=0)
    home.appears("running")
    stuck = home.worker_of(job)
    home.send(stuck["pid"], signal.SIGSTOP)

    end = home.ended(job)
    assert (end["state"], end["reason"]) == ("dead", "timeout")
    assert "worker did not end the command" in end["message"]
    assert 2.5 <= seconds(end["started_at"], end["finished_at"]) < 10
    again = home.enqueue(f"{ALONE} true")
    assert home.ended(again)["state"] == "completed"
    assert [w["pid"] for w in home.workers()] != [stuck["pid"]]


def test_a_stopped_job_is_ended_by_its_timeout(home: Home) -> None:
    """SIGSTOP does not save a job: it is continued to hear SIGTERM."""
    home.ctl("worker", "start")
    job = home.enqueue(HOLD, timeout=0.5, max_retries=0)
    for pid in home.appears("running").split():
        home.send(int(pid), signal.SIGSTOP)
    end = home.ended(job)
    assert (end["reason"], end["signal"]) == ("timeout", signal.SIGTERM)


def test_workers_that_die_at_once_are_replaced_ever_more_slowly(home: Home) -> None:
    """A worker that cannot begin is tried again with doubling pauses, then comes up."""
    home.ctl("daemon", "start")
    records = home.root / "workers"
    records.rmdir()
    records.touch()  # a worker without a record must not run jobs
    start = home.begin("worker", "start")

    waiting.until(lambda: len(starts(home)) >= 5, "five tries")
    pauses = [b - a for a, b in zip(starts(home), starts(home)[1:], strict=False)]
    assert start.poll() is None
    records.unlink()
    records.mkdir()

    assert start.wait(10) == 0
    assert [worker["state"] for worker in home.workers()] == ["idle"]
    for pause, least in zip(pauses, (0.1, 0.2, 0.4, 0.8), strict=True):
        assert pause >= least


def starts(home: Home) -> list[float]:
    """Return when workers were started, in seconds of the day."""
    times = re.findall(r"T(\d+):(\d+):([\d.]+)Z INFO worker_started", home.log())
    return [int(h) * 3600 + int(m) * 60 + float(s) for h, m, s in times]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_from_outside_costs_a_worker_no_job(
    home: Home, number: signal.Signals
) -> None:
    """SIGTERM interrupts the job, uncounted; a terminal's signals do nothing."""
    home.ctl("worker", "start")
    gate = home.gate()
    job = home.enqueue(
        f"{ALONE} [ $QUEUECTL_ATTEMPT -gt 1 ] || {{ echo >running; read _ <gate; }}"
    )
    home.appears("running")
    home.send(home.worker_of(job)["pid"], number)
    if number is not signal.SIGTERM:
        gate.open()
    end = home.ended(job)
    assert (end["state"], end["attempts"]) == ("completed", 1)
    expected = ["interrupted", "exit"] if number is signal.SIGTERM else ["exit"]
    assert home.reasons(job) == expected
