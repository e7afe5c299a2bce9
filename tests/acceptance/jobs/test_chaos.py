"""Everything that can be killed is killed, again and again, while jobs run."""

import random
import signal
from collections import Counter
from collections.abc import Callable

import pytest

from helpers import waiting
from helpers.home import Home

JOBS = 100
WORKERS = 4
STRIKES = 12

COMMAND = (
    "exec 9>>lock{0}; flock -n 9 || {{ echo {0} >>overlaps; exit 99; }}; "
    "setsid sleep 0.05 & sleep 0.0{1}; echo {0} >>done"
)
"""One lock a job: an attempt that begins before the last one is gone finds it held."""

Dice = random.Random


def a_worker(home: Home, dice: Dice) -> None:
    """One worker is killed."""
    home.kill(dice.choice(pids(home)))


def all_workers(home: Home, _dice: Dice) -> None:
    """All workers are killed."""
    home.kill(*pids(home))


def the_daemon(home: Home, _dice: Dice) -> None:
    """The daemon is killed; its workers finish what they run."""
    home.kill(home.daemon)


def everything(home: Home, _dice: Dice) -> None:
    """The daemon and its workers are killed, as with the machine."""
    home.kill(home.daemon, *pids(home))


def a_restart(home: Home, _dice: Dice) -> None:
    """The daemon is restarted, and leaves its workers to the next one."""
    home.ctl("daemon", "restart")


def a_stop(home: Home, _dice: Dice) -> None:
    """The daemon is stopped at once, and interrupts all jobs."""
    home.ctl("daemon", "stop", "--now")


def a_worker_stop(home: Home, _dice: Dice) -> None:
    """The workers are stopped at once, and others started."""
    home.ctl("worker", "stop", "--now")
    home.ctl("worker", "start", "--count", str(WORKERS))


def an_interruption(home: Home, dice: Dice) -> None:
    """A worker is told to end by somebody else."""
    home.send(dice.choice(pids(home)), signal.SIGTERM)


BLOWS: list[Callable[[Home, Dice], None]] = [
    a_worker, all_workers, the_daemon, everything,
    a_restart, a_stop, a_worker_stop, an_interruption,
]  # fmt: skip


@pytest.mark.parametrize("seed", [1])
def test_no_job_is_lost_and_none_completes_twice(home: Home, seed: int) -> None:
    """Each ends completed, by one good attempt, and no two attempts ever overlap."""
    dice = Dice(seed)
    home.ctl("worker", "start", "--count", str(WORKERS))
    home.configure(max_retries="1000", backoff_max="0.05", kill_grace="0.2")
    jobs = {
        home.enqueue(COMMAND.format(number, dice.randrange(10))): number
        for number in range(JOBS)
    }
    for strike in range(STRIKES):
        progress(home, strike * JOBS // STRIKES // 2)
        # Every kind of blow comes twice, in some order.
        blow = dice.choice(BLOWS) if strike >= len(BLOWS) else BLOWS[strike]
        print(f"strike {strike}: {blow.__doc__}")
        blow(home, dice)
        home.ctl("daemon", "start")
    progress(home, JOBS)

    assert not home.overlapped(), (home.work / "overlaps").read_text()
    lines = Counter((home.work / "done").read_text().split())
    reasons: Counter[str] = Counter()
    for job, number in jobs.items():
        attempts = home.attempts(job)
        good = [a["run"] for a in attempts if a["reason"] == "exit"]
        assert good == [len(attempts)], (job, attempts)
        assert 1 <= lines[str(number)] <= len(attempts)
        reasons.update(attempt["reason"] for attempt in attempts)
    assert set(reasons) == {"exit", "lost", "interrupted"}, "the blows have met"
    status = home.ask("status")
    assert {status[name] for name in ("pending", "processing", "failed", "dead")} == {0}


def progress(home: Home, completed: int) -> None:
    """Wait until so many jobs are completed."""
    waiting.until(
        lambda: home.ask("status")["completed"] >= completed,
        f"{completed} jobs are completed",
        within=60,
    )


def pids(home: Home) -> list[int]:
    """Return the workers' pids, once there are all that are wanted."""
    waiting.until(lambda: len(home.workers()) >= WORKERS, "the workers are there")
    return [worker["pid"] for worker in home.workers()]
