"""A worker that is stopped at the worst moment; each case failed once."""

import signal

from helpers import processes, waiting
from helpers.home import ALONE, Home, a_home

COMMAND = f"{ALONE} echo $QUEUECTL_ATTEMPT >>runs; sleep 0.2"


def stopped_before_it_reads_its_order(home: Home) -> tuple[str, int]:
    """Give a job to a worker that cannot read; return the job and the pid."""
    home.ctl("worker", "start")
    (worker,) = home.workers()
    home.send(worker["pid"], signal.SIGSTOP)
    job = home.enqueue(COMMAND)
    home.until_state(job, "processing")
    return job, worker["pid"]


def test_an_order_read_after_the_daemons_death_runs_once() -> None:
    """The next daemon counts the job as held by that worker."""
    with a_home() as home:
        job, worker = stopped_before_it_reads_its_order(home)
        home.kill(home.daemon)
        home.ctl("worker", "start", "--count", "2")
        home.send(worker, signal.SIGCONT)

        assert home.ended(job)["state"] == "completed"
        waiting.until(lambda: processes.find(worker, str(home.root)) is None, "it ends")
        assert not home.overlapped()
        runs = (home.work / "runs").read_text().split()
        assert len(runs) == len(set(runs)) == 1
        assert home.reasons(job) == ["exit"]


def test_a_stopped_idle_worker_does_not_hold_up_the_end() -> None:
    """`worker stop --now` and `daemon stop --now` kill it after a moment."""
    with a_home() as home:
        home.ctl("worker", "start")
        (worker,) = home.workers()
        home.send(worker["pid"], signal.SIGSTOP)
        home.ctl("worker", "stop", "--now")
        assert home.workers() == []
        home.ctl("worker", "start")
        (worker,) = home.workers()
        home.send(worker["pid"], signal.SIGSTOP)
        home.ctl("daemon", "stop", "--now")
        assert home.gone()
