"""When a job runs: order, retries and their delays, and jobs for later."""

import json
from itertools import pairwise

from helpers import waiting
from helpers.home import Home, seconds
from queuectl.cli.exits import Status


def test_higher_priority_first_then_first_come_first_served(home: Home) -> None:
    """Of what waits when a worker is free, also across a restart."""
    home.ctl("daemon", "start")
    priorities = [0, 5, -1, 5, 0, 10, -1]
    for number, priority in enumerate(priorities):
        home.enqueue(f"echo {number} >>order", priority=priority)
    home.ctl("daemon", "restart")
    home.ctl("worker", "start")
    waiting.until(lambda: home.ask("status")["completed"] == 7, "all ran")
    order = (home.work / "order").read_text().split()
    assert order == ["5", "1", "3", "0", "4", "2", "6"]


def test_retries_come_after_their_delays_and_end_in_the_queue_of_the_dead(
    home: Home,
) -> None:
    """max_retries are the runs after the first; each attempt's output is its own."""
    home.ctl("worker", "start")
    home.configure(backoff_base="1", backoff_jitter="0")
    job = home.enqueue("echo $QUEUECTL_ATTEMPT; exit 4", max_retries=2)
    end = home.ended(job)
    assert (end["state"], end["attempts"], end["runs"]) == ("dead", 3, 3)
    attempts = home.attempts(job)
    for before, after in pairwise(attempts):
        assert 1 <= seconds(before["finished_at"], after["started_at"]) < 2.5
    assert [home.output(job, run) for run in (1, 2, 3)] == ["1\n", "2\n", "3\n"]
    assert [dead["id"] for dead in json.loads(home.ctl("dlq", "list", "--json"))] == [
        job
    ]

    home.ctl("dlq", "retry", job)
    waiting.until(lambda: home.job(job)["runs"] == 4, "it runs again")
    retried = home.until_state(job, "failed")
    assert retried["attempts"] == 1, "it has its whole budget again"
    home.ctl("cancel", job)


def test_the_delay_grows_by_its_base_up_to_its_maximum(home: Home) -> None:
    """backoff_base ** attempts; without jitter to the millisecond."""
    home.ctl("worker", "start")
    fields = {"max_retries": 9, "backoff_base": 3, "backoff_max": 20}
    job = home.enqueue("exit 1", backoff_jitter=0, **fields)
    for attempt, delay in enumerate((3, 9, 20), start=1):
        waits = home.until_state(job, "failed")
        assert waits["attempts"] == attempt
        assert seconds(waits["updated_at"], waits["run_at"]) == delay
        if attempt < 3:
            skip_delay(home, job)
    home.ctl("cancel", job)


def skip_delay(home: Home, job: str) -> None:
    """Let a failed job run now without giving its budget back."""
    runs = home.job(job)["runs"]
    home.ctl("daemon", "stop")
    home.edit("UPDATE jobs SET run_at = 1 WHERE seq = ?", int(job))
    home.ctl("daemon", "start")
    waiting.until(lambda: home.job(job)["runs"] > runs, "it runs again")


def test_a_failed_job_can_be_retried_now(home: Home) -> None:
    """`retry` does not wait for the delay, and gives the whole budget back."""
    home.ctl("worker", "start")
    job = home.enqueue("[ $QUEUECTL_ATTEMPT = 2 ]", backoff_base=1000)
    home.until_state(job, "failed")
    home.ctl("retry", job)
    end = home.ended(job)
    assert (end["state"], end["attempts"], end["runs"]) == ("completed", 1, 2)


def test_a_job_for_later_runs_then_and_holds_up_nobody(home: Home) -> None:
    """Whatever its priority; also when its time comes while no daemon runs."""
    home.ctl("worker", "start")
    later = home.ctl("enqueue", "--delay", "1s", "-p", "9", "echo later >>order")
    past = home.enqueue("echo past >>order", run_at="2001-01-01T00:00:00Z")
    now = home.enqueue("echo now >>order")
    for job in (past, now, later):
        assert home.ended(job)["state"] == "completed"
    assert (home.work / "order").read_text().split() == ["past", "now", "later"]
    found = home.job(later)
    assert seconds(found["created_at"], found["started_at"]) >= 1
    assert seconds(found["run_at"], found["started_at"]) < 2

    asleep = home.enqueue("true", delay=0.5)
    home.ctl("daemon", "stop")
    due = home.edit("SELECT run_at FROM jobs WHERE seq = ?", int(asleep))
    waiting.until(lambda: home.now() > due, "its time has come")
    home.ctl("daemon", "start")
    assert home.ended(asleep)["state"] == "completed"


def test_a_job_that_is_not_started_in_time_is_cancelled(home: Home) -> None:
    """Whoever waits for it learns of it as of a cancelled job; a later daemon too."""
    home.ctl("daemon", "start")
    job = home.enqueue("true", expires_in=0.5)
    told = home.run("wait", job)
    assert told.returncode == Status.CANCELLED
    assert told.stdout == f"{job}: cancelled (expired)\n"
    ended = home.job(job)
    assert (ended["state"], ended["reason"]) == ("cancelled", "expired")
    assert seconds(ended["expires"], ended["finished_at"]) < 2
    assert home.ask("stats")["cancelled"] == 1
    assert "expired" in home.ctl("list")

    asleep = home.enqueue("touch ran", expires_in=0.5)
    home.ctl("daemon", "stop")
    due = home.edit("SELECT expires FROM jobs WHERE seq = ?", int(asleep))
    waiting.until(lambda: home.now() > due, "it has expired")
    home.ctl("daemon", "start")
    home.ctl("worker", "start")
    assert home.ended(asleep)["reason"] == "expired"
    assert not (home.work / "ran").exists()

    home.ctl("retry", asleep)
    assert home.ended(asleep)["state"] == "completed"
    assert home.job(asleep)["expires"] is None


def test_run_ends_when_its_job_expires(home: Home) -> None:
    """With the status of a cancelled job; one that began in time is not disturbed."""
    home.ctl("worker", "start")
    gate = home.gate()
    first = home.begin("run", "--expires", "1h", "read _ <gate; exit 3")
    waiting.until(lambda: home.ask("status")["processing"] == 1, "it runs")
    late = home.run("run", "--expires", "0.5s", "true")
    assert late.returncode == Status.CANCELLED
    gate.open()
    assert first.wait(30) == 3


def test_many_jobs_that_become_due_together_all_run(home: Home) -> None:
    """More than are promoted at once, or claimed at once."""
    home.ctl("worker", "start", "--count", "2")
    jobs = [{"command": "true", "delay": 0.5} for _ in range(300)]
    home.ask("enqueue_many", jobs=jobs)
    assert home.ask("status")["pending"] == 300
    waiting.until(lambda: home.ask("status")["completed"] == 300, "all ran")
