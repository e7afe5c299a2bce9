"""Claims that are committed when something happens before their job can start."""

import signal

import pytest

from helpers import hindered, waiting
from helpers.hindered import Hold
from helpers.home import Gate, Home

WAITS = "echo >running; read _ <gate"
SOON = {"control.attempts.RETRY": 0.1, "control.scheduler.STORE_RETRY": 0.1}
"""Seconds to the next try, which are one by default."""


@pytest.fixture
def gate(home: Home) -> Gate:
    return home.gate()


def last_seen_claiming(home: Home, gate: Gate, claim: Hold) -> None:
    """Let the running job end, until its end is committed with the next claim."""
    gate.open()
    claim.reached()
    assert home.ask("status")["completed"] == 1


def test_a_worker_that_dies_while_its_next_job_is_claimed(
    home: Home, gate: Gate
) -> None:
    """That job never started: it is pending again, uncounted; the others go on."""
    hindered.serve(home)
    home.ask("workers.start")
    ran = home.enqueue(WAITS)
    home.appears("running")
    later = [home.enqueue("true") for _ in range(3)]
    with hindered.held(home, "claim") as claim:
        last_seen_claiming(home, gate, claim)
        home.kill(home.worker_of(ran)["pid"])
        waiting.until(lambda: home.workers() == [], "the daemon has seen it die")
    assert [home.ended(job)["state"] for job in later] == ["completed"] * 3
    assert home.reasons(ran) == ["exit"]
    # One claim was for the dead worker. Its end must not have claimed another.
    assert [home.reasons(job) for job in later] == [
        ["interrupted", "exit"], ["exit"], ["exit"]
    ]  # fmt: skip
    assert [home.job(job)["attempts"] for job in later] == [1, 1, 1]


def test_a_worker_that_is_stopped_while_its_next_job_is_claimed(
    home: Home, gate: Gate
) -> None:
    """It gets no job, its stop is quick, and nothing was interrupted."""
    hindered.serve(home)
    with home.connect() as owner, home.connect() as other:
        # One that is bound: its stop has nothing to store before it begins.
        (worker,) = owner.call("workers.start", bound=True)["workers"]
        home.enqueue(WAITS)
        home.appears("running")
        waits = home.enqueue("echo >ran; sleep 600")
        with hindered.held(home, "claim") as claim:
            last_seen_claiming(home, gate, claim)
            stop = other.send("workers.stop", workers=[worker["worker"]], now=True)
            waiting.until(lambda: home.workers()[0]["state"] == "stopping", "it stops")
        assert other.result(stop) == {"stopped": 1, "interrupted": 0}
    found = home.until_state(waits, "pending")
    assert (found["attempts"], found["runs"]) == (0, 1)
    assert home.reasons(waits) == ["interrupted"]
    assert not (home.work / "ran").exists()


def test_a_daemon_that_is_stopped_while_a_job_is_claimed(
    home: Home, gate: Gate
) -> None:
    """It does not begin that job as its last act."""
    daemon = hindered.serve(home)
    home.ask("workers.start")
    home.enqueue(WAITS)
    home.appears("running")
    waits = home.enqueue("echo $QUEUECTL_ATTEMPT >>ran")
    with hindered.held(home, "claim") as claim:
        last_seen_claiming(home, gate, claim)
        home.send(daemon.pid, signal.SIGTERM)
        waiting.until(lambda: home.ask("status")["draining"], "it is draining")
    assert daemon.wait(waiting.DEADLINE) == 0
    home.assert_nothing_left()
    assert not (home.work / "ran").exists()
    home.serve()
    assert home.ended(waits)["attempts"] == 1
    assert home.reasons(waits) == ["interrupted", "exit"]


def test_a_job_that_is_cancelled_before_its_claim_is_known(home: Home) -> None:
    """It is ended, whatever becomes meanwhile of the worker beside it."""
    hindered.serve(home)
    first, _ = home.ask("workers.start", count=2)["workers"]
    with home.connect() as client, hindered.held(home, "claim") as claim:
        jobs = [{"command": "true"}, {"command": "sleep 600"}]
        ran, cancelled = client.call("enqueue_many", jobs=jobs)["ids"]
        claim.reached()
        home.kill(first["pid"])
        waiting.until(lambda: len(home.workers()) == 1, "the daemon has seen it die")
        cancel = client.send("cancel", id=cancelled)
        client.call("status")  # a read after the cancel's: its write is queued by then
        claim.release()
        assert client.result(cancel)["job"]["state"] == "cancelled"
    assert home.ended(ran)["state"] == "completed"
    assert home.reasons(ran) == ["interrupted", "exit"]


def test_a_claim_of_which_nobody_knows_is_found(home: Home) -> None:
    """The store could not say whether it was committed; it was."""
    hindered.serve(home, constants=SOON)
    home.ask("workers.start")
    (home.root / "unknown").touch()
    job = home.enqueue("true")
    assert home.ended(job)["attempts"] == 1
    assert home.reasons(job) == ["interrupted", "exit"]
    assert not (home.root / "unknown").exists()


def test_a_result_and_a_claim_of_which_nobody_knows(home: Home, gate: Gate) -> None:
    """The result counts once; the job claimed with it is found and runs."""
    hindered.serve(home, constants=SOON)
    home.ask("workers.start")
    ran = home.enqueue(WAITS)
    home.appears("running")
    claimed = home.enqueue("true")
    (home.root / "unknown").touch()
    gate.open()
    assert home.ended(claimed)["attempts"] == 1
    assert home.reasons(claimed) == ["interrupted", "exit"]
    assert home.job(ran)["state"] == "completed"
    assert home.reasons(ran) == ["exit"]
    assert not (home.root / "unknown").exists()


def test_two_jobs_claimed_by_one_worker_are_both_settled(home: Home) -> None:
    """As a daemon leaves them that died right after such a claim."""
    daemon = home.serve()
    jobs = [home.enqueue("true") for _ in range(2)]
    home.kill(daemon.pid, number=signal.SIGTERM)
    home.edit(
        "UPDATE jobs SET state = 'processing', due = NULL, lease = seq + 100,"
        " worker = 1, attempts = 1, runs = 1, started_at = created_at"
    )
    home.edit("UPDATE counts SET jobs = 0")
    home.edit("INSERT OR REPLACE INTO counts VALUES ('default', 'processing', 2)")
    home.edit("UPDATE numbers SET lease = 200")
    home.serve()
    home.ask("workers.start")
    for job in jobs:
        assert home.ended(job)["state"] == "completed"
        assert home.reasons(job) == ["interrupted", "exit"]
