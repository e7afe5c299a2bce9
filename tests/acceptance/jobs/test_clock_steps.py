"""The wall clock is set while jobs run."""

from helpers import hindered
from helpers.home import Home


def test_a_step_of_the_clock_does_not_end_an_adopted_run(home: Home) -> None:
    """An hour ahead is beyond its timeout, but not an hour of its life."""
    home.serve()
    home.ask("workers.start", count=2)
    home.configure(kill_grace="0")
    gate = home.gate()
    job = home.enqueue("echo >running; read _ <gate", timeout=300)
    home.appears("running")
    home.kill(home.daemon)
    home.edit("UPDATE jobs SET started_at = started_at - 3600000")
    hindered.serve(home, constants={"workers.daemon_side.pool.OVERDUE": 0})
    home.ended(home.enqueue("true"))
    assert home.worker_of(job)["adopted"]
    gate.open()
    assert home.ended(job)["state"] == "completed"
    assert "worker_stuck" not in home.log()
