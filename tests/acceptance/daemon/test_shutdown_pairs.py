"""How the daemon ends when it is asked more than once, in any two ways."""

import os
import signal
import subprocess
from enum import StrEnum

import pytest

from helpers import hindered, waiting
from helpers.home import ALONE, Home
from helpers.rawclient import PATIENCE
from queuectl_protocol.messages import Failure

COMMAND = f"{ALONE} [ $QUEUECTL_ATTEMPT -gt 1 ] || {{ echo >running; read _ <gate; }}"


class Ask(StrEnum):
    """A way to ask for the end."""

    STOP = "daemon.stop"
    NOW = "daemon.stop now"
    RESTART = "daemon.restart"
    TERM = "SIGTERM"
    INT = "SIGINT"
    USR1 = "SIGUSR1"


class Then(StrEnum):
    """What comes of a job that runs, and waits for somebody."""

    WAITED_FOR = "the daemon waits for its end"
    INTERRUPTED = "it is interrupted at once, and pending again"
    LEFT = "it goes on without the daemon"


LEAVING = {Ask.RESTART: Then.LEFT, Ask.USR1: Then.LEFT, Ask.NOW: Then.INTERRUPTED}
STOPPING = (Ask.STOP, Ask.TERM, Ask.INT)
SIGNALS = {Ask.TERM, Ask.INT}
PAIRS = {
    (first, second): (
        Then.INTERRUPTED
        if {first, second} <= SIGNALS
        else LEAVING.get(second, Then.WAITED_FOR)
    )
    for first in STOPPING
    for second in Ask
}


def ask(home: Home, way: Ask) -> None:
    """Ask in one of the ways; a daemon that is gone by now needs no asking."""
    if way in {Ask.TERM, Ask.INT, Ask.USR1}:
        home.send(home.daemon, signal.Signals[way.value])
    else:
        method, _, now = way.partition(" ")
        home.ask(method, **({"now": True} if now else {}))


def a_job_runs(home: Home, *flags: str) -> "tuple[subprocess.Popen[str], str]":
    """Start a daemon, and a job in it that waits at a gate."""
    daemon = home.serve("--shutdown-grace", "10m", *flags)
    home.ask("workers.start")
    home.configure(kill_grace="0.1")
    job = home.enqueue(COMMAND)
    home.appears("running")
    return daemon, job


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_two_ways_to_ask_for_the_end(home: Home, first: Ask, second: Ask) -> None:
    """The job as the table says: no request escalates but by `now`."""
    gate = home.gate()
    daemon, job = a_job_runs(home)
    outcome = PAIRS[first, second]
    ask(home, first)
    waiting.until(lambda: home.ask("status")["draining"], "it is draining")
    ask(home, second)
    if outcome is Then.WAITED_FOR:
        # Whatever was asked has been heard when this is answered, twice over.
        for _ in range(2):
            assert home.ask("status")["draining"]
        assert home.job(job)["state"] == "processing"
        gate.open()
    assert daemon.wait(PATIENCE) == 0, home.log()
    gate.open()
    waiting.until(home.gone, "the worker has ended")

    home.serve()
    end = home.ended(job)
    assert (end["state"], end["attempts"]) == ("completed", 1)
    interrupted = ["interrupted"] if outcome is Then.INTERRUPTED else []
    assert home.reasons(job) == [*interrupted, "exit"]
    assert not home.overlapped()


def test_many_stops_at_once_wait_for_the_job(home: Home) -> None:
    """From many clients, and from one that repeats itself."""
    gate = home.gate()
    daemon, job = a_job_runs(home)
    stopping = [home.begin("daemon", "stop") for _ in range(3)]
    with home.connect() as client:
        for request in [client.send("daemon.stop") for _ in range(10)]:
            assert client.result(request) == {}
    waiting.until(lambda: home.log().count("daemon.stop") >= 13, "all have asked")
    assert home.ask("status")["draining"]
    assert home.job(job)["state"] == "processing"
    gate.open()
    assert daemon.wait(PATIENCE) == 0
    assert [each.wait(PATIENCE) for each in stopping] == [0, 0, 0]
    home.serve()
    assert home.reasons(job) == ["exit"]


def test_a_stop_while_workers_start_is_no_worker_too_many(home: Home) -> None:
    """Whoever waits for them hears of the end, and nothing is left."""
    for _ in range(5):
        daemon = home.serve()
        with home.connect() as client:
            starts = [client.send("workers.start", count=2) for _ in range(2)]
            client.call("daemon.stop")
            for end in map(client.end, starts):
                assert not isinstance(end, Failure) or end.code == "shutting_down"
        assert daemon.wait(PATIENCE) == 0
        home.assert_nothing_left()
        home.edit("DELETE FROM meta WHERE key = 'workers_wanted'")


@pytest.mark.parametrize("way", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_a_signal_while_it_looks_after_the_last_daemon(
    home: Home, way: signal.Signals
) -> None:
    """It ends as soon as that is done, with status 0; what it found is on record."""
    gate = home.gate()
    _, job = a_job_runs(home)
    home.kill(home.daemon)
    gate.open()
    waiting.until(home.gone, "the worker has left its result")
    with hindered.held(home, "start") as hold:
        daemon = hindered.begin(home)
        hold.reached()
        os.kill(daemon.pid, way)
        hold.release()
    assert daemon.wait(PATIENCE) == 0, home.log()
    home.serve()
    assert home.ended(job)["state"] == "completed"
    assert home.reasons(job) == ["exit"]
