"""How the daemon ends: every signal, with every kind of work in flight."""

import signal
from enum import StrEnum

import pytest

from helpers import waiting
from helpers.home import ALONE, Home
from helpers.rawclient import PATIENCE


class Way(StrEnum):
    """What is sent to the daemon."""

    TERM = "SIGTERM"
    INT = "SIGINT"
    TWICE = "SIGTERM twice"
    USR1 = "SIGUSR1"
    HUP = "SIGHUP"


class Work(StrEnum):
    """What runs meanwhile."""

    IDLE = "idle"
    SHORT = "short job"
    LONG = "long job"
    STUBBORN = "job that ignores SIGTERM"


class Outcome(StrEnum):
    """What becomes of the job."""

    NONE = "there is none"
    COMPLETED = "it completes in its one attempt"
    INTERRUPTED = "it is pending again, and the attempt does not count"
    GOES_ON = "it goes on"


FIRST = f"{ALONE} [ $QUEUECTL_ATTEMPT -gt 1 ] || "
COMMANDS = {
    Work.SHORT: FIRST + "{ echo >running; read _ <gate; }",
    Work.LONG: FIRST + "{ setsid sleep 600 & echo >running; sleep 600; }",
    Work.STUBBORN: FIRST
    + "{ trap '' TERM; echo >running; while :; do sleep 600; done; }",
}
GRACES = {
    # A second signal does not wait for the first one's grace, which is 30 s.
    Work.SHORT: (),
    Work.LONG: ("--shutdown-grace", "0.3s"),
    Work.STUBBORN: ("--shutdown-grace", "0.3s"),
}
_stops = {
    Work.IDLE: Outcome.NONE,
    Work.SHORT: Outcome.COMPLETED,
    Work.LONG: Outcome.INTERRUPTED,
    Work.STUBBORN: Outcome.INTERRUPTED,
}
_spares = {**_stops, Work.LONG: Outcome.GOES_ON, Work.STUBBORN: Outcome.GOES_ON}
EXPECTED = {
    Way.TERM: _stops,
    Way.INT: _stops,
    Way.TWICE: {**_stops, Work.SHORT: Outcome.INTERRUPTED},
    Way.USR1: _spares,
    Way.HUP: _spares,
}


@pytest.mark.parametrize("work", Work)
@pytest.mark.parametrize("way", Way)
def test_signal_with_work_in_flight(home: Home, way: Way, work: Work) -> None:
    """Exit status 0, the job as the table says, and no process left."""
    gate = home.gate()
    daemon = home.serve(*(() if way is Way.TWICE else GRACES.get(work, ())))
    home.ask("workers.start", count=2)
    home.configure(kill_grace="0.3")
    job = home.enqueue(COMMANDS[work]) if work in COMMANDS else ""
    if job:
        home.appears("running")
    outcome = EXPECTED[way][work]

    send(home, way, twice=bool(job))
    if outcome is Outcome.COMPLETED:
        gate.open()
    if way is Way.HUP:
        waiting.until(lambda: "option_changed" in home.log(), "it has reloaded")
        assert daemon.poll() is None
    else:
        assert daemon.wait(PATIENCE) == 0, home.log()
    if way is Way.USR1:
        assert not home.socket.exists()
    elif way is not Way.HUP:
        home.assert_nothing_left()

    home.ctl("daemon", "start")  # the next daemon, which has two workers again
    if job:
        settle(home, job, outcome)


def send(home: Home, way: Way, *, twice: bool) -> None:
    """Send what is to be sent; a second signal when the first has had its effect.

    With nothing to wait for, the first signal is enough to end the daemon.
    """
    if way is Way.HUP:
        (home.root / "queuectld.toml").write_text("max_page = 77\n")
    number = signal.SIGTERM if way is Way.TWICE else signal.Signals[way.value]
    home.send(home.daemon, number)
    if way is Way.TWICE and twice:
        waiting.until(lambda: home.ask("status")["draining"], "it is draining")
        home.send(home.daemon, number)


def settle(home: Home, job: str, outcome: Outcome) -> None:
    """Assert the outcome, and end what goes on."""
    if outcome is Outcome.GOES_ON:
        assert home.job(job)["state"] == "processing"
        assert home.reasons(job) == [None]
        home.ctl("cancel", job)
        return
    end = home.ended(job)
    assert (end["state"], end["attempts"]) == ("completed", 1)
    interrupted = outcome is Outcome.INTERRUPTED
    assert home.reasons(job) == (["interrupted"] if interrupted else []) + ["exit"]
    assert not home.overlapped()


def test_a_draining_daemon_answers_and_claims_nothing(home: Home) -> None:
    """Reads and enqueues work while it waits for jobs; what waits stays pending."""
    gate = home.gate()
    daemon = home.serve()
    home.ask("workers.start", count=2)
    for number in (1, 2):
        home.enqueue(f"echo >running{number}; read _ <gate; echo {number} >>done")
        home.appears(f"running{number}")
    before = home.enqueue("echo 3 >>done", priority=9)
    home.send(daemon.pid, signal.SIGTERM)
    waiting.until(lambda: home.ask("status")["draining"], "it is draining")

    taken = home.run("enqueue", "echo 4 >>done")
    meanwhile = taken.stdout.strip()
    told = "the daemon is stopping: it begins no jobs until it runs again\n"
    assert taken.stderr == told
    many = home.run("enqueue", "--file", "-", text='{"command": "true"}\n')
    assert (many.returncode, many.stderr) == (0, told)
    home.ctl("cancel", many.stdout.strip())
    gate.open()
    waiting.until(lambda: home.ask("status")["completed"] == 1, "one has ended")
    assert home.ctl("list", "--state", "pending").count("echo") == 2
    assert home.job(before)["runs"] == home.job(meanwhile)["runs"] == 0
    # The worker that is done has left, and none takes its place.
    waiting.until(lambda: len(home.workers()) == 1, "a worker has left")
    gate.open()
    assert daemon.wait(PATIENCE) == 0
    home.assert_nothing_left()
    assert sorted((home.work / "done").read_text().split()) == ["1", "2"]

    home.ctl("daemon", "start")
    home.ctl("wait", before, meanwhile)
    assert sorted((home.work / "done").read_text().split()[2:]) == ["3", "4"]


def test_workers_are_not_started_by_a_draining_daemon(home: Home) -> None:
    """It says why at once, and the wish is not kept."""
    gate = home.gate()
    daemon = home.serve()
    home.ask("workers.start")
    home.enqueue("echo >running; read _ <gate")
    home.appears("running")
    home.send(daemon.pid, signal.SIGTERM)
    waiting.until(lambda: home.ask("status")["draining"], "it is draining")
    refused = home.run("worker", "start")
    assert refused.returncode == 1
    assert "ending" in refused.stderr
    gate.open()
    assert daemon.wait(PATIENCE) == 0
    home.ctl("daemon", "start")
    assert home.ask("workers.list")["wanted"] == 1


def test_a_drain_can_become_a_restart(home: Home) -> None:
    """SIGUSR1 after SIGTERM: the daemon goes now, the job finishes without it."""
    gate = home.gate()
    daemon = home.serve()
    home.ask("workers.start")
    job = home.enqueue("echo >running; read _ <gate")
    home.appears("running")
    home.send(daemon.pid, signal.SIGTERM)
    waiting.until(lambda: home.ask("status")["draining"], "it is draining")
    home.send(daemon.pid, signal.SIGUSR1)
    assert daemon.wait(PATIENCE) == 0
    gate.open()
    waiting.until(home.gone, "the worker has ended")
    home.ctl("daemon", "start")
    assert home.job(job)["state"] == "completed"
    assert home.reasons(job) == ["exit"]


def test_daemon_stop_waits_and_now_does_not(home: Home) -> None:
    """`daemon stop` returns when the job and the daemon have ended."""
    gate = home.gate()
    home.ctl("worker", "start")
    first = home.enqueue("echo >running; read _ <gate")
    home.appears("running")
    stopping = home.begin("daemon", "stop")
    waiting.until(lambda: home.ask("status")["draining"], "it is draining")
    assert stopping.poll() is None
    gate.open()
    assert stopping.wait(PATIENCE) == 0
    home.assert_nothing_left()

    home.ctl("daemon", "start")
    second = home.enqueue(COMMANDS[Work.STUBBORN].replace(">running", ">again"))
    assert home.job(first)["state"] == "completed"
    home.appears("again")
    home.ctl("daemon", "stop", "--now")
    home.assert_nothing_left()
    home.ctl("daemon", "start")
    assert home.ctl("wait", second)
    assert home.reasons(second) == ["interrupted", "exit"]
