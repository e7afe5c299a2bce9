"""What the daemon does when there is no room, no descriptor or no process to be had."""

import resource
import signal

from helpers import hindered, waiting
from helpers.home import ALONE, Home
from queuectl_protocol.errors import ErrorCode

SOON = {"control.attempts.RETRY": 0.1, "control.starting.RESPAWN_MAX": 0.2}

HOLD_ONCE = (
    f"{ALONE} [ $QUEUECTL_ATTEMPT -gt 1 ] || "
    "{ setsid sleep 600 & echo >running; sleep 600; }"
)


def test_a_lost_attempt_is_settled_when_there_are_descriptors_again(home: Home) -> None:
    """Without them nobody can look for what is left of it: that is tried again."""
    daemon = hindered.serve(home, constants=SOON)
    home.ask("workers.start", count=2)
    job = home.enqueue(HOLD_ONCE)
    home.appears("running")
    worker = home.worker_of(job)
    before = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (3, before[1]))
    home.kill(worker["pid"])
    waiting.until(lambda: "attempt_not_settled" in home.log(), "it cannot")
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, before)

    assert home.ended(job)["state"] == "completed"
    assert home.reasons(job) == ["lost", "exit"]
    assert not home.overlapped()


def test_a_worker_that_could_not_be_started_is_tried_again(home: Home) -> None:
    """By the daemon itself: whoever asked for it waits, and nothing else happens."""
    # Not woken by the checkpoint either, which starting it is enough to bring about.
    hindered.serve(home, constants={**SOON, "control.agenda.CHECKPOINT_AFTER": 3600})
    (home.root / "nofork").touch()
    with home.connect() as client:
        start = client.send("workers.start")
        waiting.until(lambda: "worker_not_started" in home.log(), "it cannot")
        (home.root / "nofork").unlink()
        (worker,) = client.result(start)["workers"]
    assert worker["state"] == "idle"


def test_a_daemon_starts_without_room(home: Home) -> None:
    """It answers what was stored, refuses what is new, and goes on when it can."""
    first = hindered.serve(home)
    home.ask("workers.start")
    old = home.enqueue("true")
    home.ended(old)
    home.kill(first.pid, number=signal.SIGTERM)
    (home.root / "full").touch()

    hindered.serve(home, constants={"control.scheduler.STORE_RETRY": 0.1})
    assert home.job(old)["state"] == "completed"
    assert home.ask("workers.list") == {"workers": [], "wanted": 1}
    with home.connect() as client:
        refused = client.refused("enqueue", job={"command": "true"})
    assert refused.code == ErrorCode.STORAGE_FULL

    (home.root / "full").unlink()
    assert home.ended(home.enqueue("true"))["state"] == "completed"
