"""The daemon ends in bounded time, whatever it cannot finish."""

import signal

import pytest

from helpers import hindered, waiting
from helpers.home import Home
from helpers.rawclient import PATIENCE

SHORT = {"control.draining.DRAIN_SPARE": 0.3, "control.attempts.CLOSE_WITHIN": 0.3}
"""Seconds for what should not take any; five and two by default."""

JOBS = 20_000
"""Each a step of its own here: seconds, when the daemon has to end in one."""

ENDED_LONG_AGO = f"""
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {JOBS})
    INSERT INTO jobs (seq, queue, command, priority, max_retries, timeout,
        backoff_base, backoff_max, backoff_jitter, output_limit, state, attempts, runs,
        losses, cancel_requested, created_at, updated_at, started_at, finished_at,
        exit_code, reason)
    SELECT i, 'default', '"true"', 0, 3, 300, 2, 3600, 0.1, 0, 'completed', 1, 1, 0, 0,
        1, 1, 1, 1, 0, 'exit' FROM n
"""


def result_refused(home: Home, grace: str = "0.1s") -> str:
    """Start a daemon and let a job end whose result the store refuses."""
    hindered.serve(home, "--shutdown-grace", grace, constants=SHORT)
    home.configure(kill_grace="0")
    home.ask("workers.start")
    gate = home.gate()
    job = home.enqueue("echo >running; read _ <gate")
    home.appears("running")
    (home.root / "full").touch()
    gate.open()
    waiting.until(lambda: "result_not_stored" in home.log(), "the store refuses it")
    return job


TERM, USR1 = signal.SIGTERM, signal.SIGUSR1


@pytest.mark.parametrize("worker_lives", [True, False])
@pytest.mark.parametrize(
    ("grace", "signals"), [("0.1s", [TERM]), ("10m", [TERM, TERM]), ("10m", [USR1])]
)
def test_a_result_that_the_store_refuses_outlives_the_daemon(
    home: Home, grace: str, signals: list[signal.Signals], *, worker_lives: bool
) -> None:
    """It is in the spool, by the worker or by the daemon; the next one records it."""
    job = result_refused(home, grace)
    if not worker_lives:
        home.kill(home.worker_of(job)["pid"])
        waiting.until(lambda: home.workers() == [], "the daemon has seen it die")
    home.send(home.daemon, signals[0])
    for number in signals[1:]:
        waiting.until(lambda: "daemon_draining" in home.log(), "it is draining")
        home.send(home.daemon, number)
    waiting.until(home.gone, "daemon and worker have ended")
    assert len(list((home.root / "spool").glob("*.json"))) == 1
    assert "attempts_left" in home.log()

    home.serve()
    assert home.ended(job)["state"] == "completed"
    assert home.reasons(job) == ["exit"]
    waiting.until(lambda: not list((home.root / "spool").iterdir()), "it is cleared")


def test_a_store_that_has_room_again_has_the_result(home: Home) -> None:
    """Before the daemon has to give up, which it then does not."""
    job = result_refused(home)
    (home.root / "full").unlink()
    assert home.ended(job)["state"] == "completed"
    home.kill(home.daemon, number=signal.SIGTERM)
    assert "attempts_left" not in home.log()
    home.assert_nothing_left()


def test_housekeeping_is_no_reason_to_stay(home: Home) -> None:
    """A daemon that forgets old jobs stops amid them; the rest has time."""
    home.kill(home.serve().pid, number=signal.SIGTERM)
    home.edit(ENDED_LONG_AGO)
    home.edit("INSERT OR REPLACE INTO counts VALUES ('default', 'completed', ?)", JOBS)
    home.edit("UPDATE numbers SET seq = ?", JOBS)
    daemon = hindered.serve(
        home,
        constants={
            "control.agenda.PRUNE_AFTER": 0.2,
            "operations.delete.AT_ONCE": 1,
        },
    )
    waiting.until(lambda: home.ask("status")["completed"] < JOBS, "it has begun")
    home.send(daemon.pid, signal.SIGTERM)
    assert daemon.wait(PATIENCE) == 0
    left = home.edit("SELECT count(*) FROM jobs")
    assert 0 < left < JOBS
