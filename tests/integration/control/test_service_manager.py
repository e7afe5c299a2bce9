"""What a daemon tells its service manager: its status, and its need of time.

The test is the service manager: it has the socket, and the daemon is the real one.
"""

import os
import re
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from helpers import hindered, waiting
from helpers.home import Home
from helpers.service_manager import Manager, extensions, term
from queuectld.control.service_manager import START_WITHIN, STATUS_EVERY
from queuectld.host import sd_notify

QUIET = 2.0
"""Seconds in which an idle daemon would have told something, if it did so by itself."""


# The status


def test_the_status_follows_jobs_and_workers(home: Home, manager: Manager) -> None:
    """It begins with the status of the start, and shows each last change."""
    home.serve()
    ready = manager.until("READY=1")
    assert ready == ["READY=1", "STATUS=0 running, 0 queued, 0 workers"]
    starting = [line for line in manager.heard if line.startswith("STATUS=starting")]
    assert manager.heard[0] == starting[0] == "STATUS=starting: opening the database"
    gate = home.gate()
    for _ in range(3):
        home.enqueue("read _ <gate")
    manager.status("0 running, 3 queued, 0 workers")
    home.ask("workers.start", count=2)
    manager.status("2 running, 1 queued, 2 workers")
    gate.open(3)
    manager.status("0 running, 0 queued, 2 workers")
    home.kill(home.workers()[0]["pid"])
    home.ask("workers.stop")
    manager.status("0 running, 0 queued, 0 workers")


def test_the_managers_own_child_is_the_main_process(
    home: Home, manager: Manager
) -> None:
    """With a process in between none is reported: it could not be watched."""
    home.environ["MANAGERPID"] = str(os.getpid())
    daemon = home.serve()
    assert manager.until("READY=1")[2:] == [f"MAINPID={daemon.pid}"]
    home.stop()
    script = ["sh", "-c", "queuectld 2>queuectld.stderr; exit"]
    with subprocess.Popen(script, cwd=home.root, env=home.environ) as shell:
        assert manager.until("READY=1")[2:] == []
        term(home)
        assert shell.wait(waiting.DEADLINE) == 0


def test_the_workers_of_a_client_that_leaves_are_counted(
    home: Home, manager: Manager
) -> None:
    """Their end is noticed although nothing is written to the store."""
    home.serve()
    with home.connect() as owner:
        owner.call("workers.start", count=2, bound=True)
        manager.status("0 running, 0 queued, 2 workers")
    manager.status("0 running, 0 queued, 0 workers")


def test_a_busy_daemon_tells_its_status_once_a_second(
    home: Home, manager: Manager
) -> None:
    """This is so for any number of jobs; an idle daemon sends nothing."""
    home.serve()
    home.ask("workers.start")
    manager.status("0 running, 0 queued, 1 worker")
    begun = time.monotonic()
    told = len(manager.heard)
    while time.monotonic() < begun + QUIET:
        home.ended(home.enqueue("true"))
    assert manager.silent(QUIET)
    last = manager.heard[-1]
    assert last == "STATUS=0 running, 0 queued, 1 worker"
    seconds = time.monotonic() - begun
    assert len(manager.heard) - told <= seconds / STATUS_EVERY + 1


def test_a_manager_that_is_behind_hears_the_last_state(
    home: Home, manager: Manager
) -> None:
    """A status that could not be sent is sent later, in its last version."""
    hindered.serve(home, constants={"control.service_manager.STATUS_AGAIN": 0.1})
    manager.until("READY=1")
    filler = sd_notify.Notifier(home.environ["NOTIFY_SOCKET"])
    while filler.status("of somebody else"):
        pass
    for _ in range(3):
        home.enqueue("true")
    manager.status("0 running, 3 queued, 0 workers")


def test_a_reload_is_told(home: Home, manager: Manager) -> None:
    """RELOADING with the time, then READY with the status as it was; also if refused.

    The time is that of the monotonic clock, as systemd wants it.
    """
    home.serve()
    manager.until("READY=1")
    for text in ('shutdown_grace = "1m"\n', "no such line\n"):
        (home.root / "queuectld.toml").write_text(text)
        before = time.monotonic()
        home.send(home.daemon, signal.SIGHUP)
        first, second, third = manager.until("RELOADING=1")
        assert (first, third) == ("RELOADING=1", "STATUS=reloading")
        usec = int(second.removeprefix("MONOTONIC_USEC="))
        assert before <= usec / 1_000_000 <= time.monotonic()
        ready = manager.next()
        assert ready == ["READY=1", "STATUS=0 running, 0 queued, 0 workers"]


def test_a_reload_before_it_is_ready_is_not_told(home: Home, manager: Manager) -> None:
    """Its end would be reported as READY before the daemon answers."""
    with ThreadPoolExecutor() as others, hindered.held(home, "start") as start:
        serving = others.submit(hindered.serve, home)
        start.reached()
        manager.status("starting: looking after what the last daemon left")
        home.send(home.daemon, signal.SIGHUP)
        (home.root / "queuectld.toml").write_text("no such line")
        home.send(home.daemon, signal.SIGHUP)
        waiting.until(lambda: "reload_refused" in home.log(), "it has read the file")
        start.release()
        serving.result()
    manager.until("READY=1")
    assert not any(line.startswith("RELOADING") for line in manager.heard)
    assert manager.heard.count("READY=1") == 1


# The end, and time for it


def test_a_start_asks_for_time(home: Home, manager: Manager) -> None:
    """It asks before it opens the database, which may be migrated, and never later."""
    home.serve()
    manager.until("READY=1")
    before = manager.heard[: manager.heard.index("READY=1")]
    assert before[:2] == [
        "STATUS=starting: opening the database",
        f"EXTEND_TIMEOUT_USEC={round(START_WITHIN * 1_000_000)}",
    ]
    assert set(extensions(before)) == {START_WITHIN}
    told = len(manager.heard)
    assert manager.silent(1)
    assert extensions(manager.heard[told:]) == []


def test_a_drain_asks_for_time_while_it_may_last(home: Home, manager: Manager) -> None:
    """It asks repeatedly, within the graces, and shows the jobs that remain."""
    hindered.serve(
        home,
        "--shutdown-grace",
        "1m",
        constants={"control.service_manager.EXTENSION": 0.4},
    )
    home.configure(kill_grace="1")
    home.ask("workers.start", count=2)
    gate = home.gate()
    for name in ("one", "two"):
        home.enqueue(f"echo >{name}; read _ <gate")
        home.appears(name)
    manager.silent(0)
    told = len(manager.heard)
    term(home)
    stopping = manager.until("STOPPING=1")
    assert stopping == ["STOPPING=1", "STATUS=draining 2 jobs"]
    gate.open()
    manager.status("draining 1 job")
    while len(extensions(manager.heard[told:])) < 5:
        assert manager.next()
    assert set(extensions(manager.heard[told:])) == {0.4}
    gate.open()
    waiting.until(home.gone, "it has ended")


def test_a_drain_asks_for_no_more_than_it_allows_itself(
    home: Home, manager: Manager
) -> None:
    """No request reaches beyond the graces and the time to close the daemon."""
    spare = {
        "control.draining.DRAIN_SPARE": 0.5,
        "control.attempts.CLOSE_WITHIN": 0.25,
    }
    constants = {
        **spare,
        "daemon.CLOSING": 0.25,
        "control.service_manager.EXTENSION": 100,
    }
    hindered.serve(home, "--shutdown-grace", "2s", constants=constants)
    home.configure(kill_grace="1")
    home.ask("workers.start")
    home.enqueue("trap '' TERM; echo >running; while :; do sleep 60; done")
    home.appears("running")
    manager.silent(0)
    told = len(manager.heard)
    term(home)
    waiting.until(home.gone, "it has ended")
    manager.silent(0)
    (asked,) = extensions(manager.heard[told:])
    assert asked == pytest.approx(2 + 1 + 0.5 + 0.25 + 0.25, abs=0.1)


def test_a_restart_leaves_jobs_alone_and_says_so(home: Home, manager: Manager) -> None:
    """This is so during a drain as well; the next daemon counts the jobs."""
    home.serve()
    home.ask("workers.start")
    gate = home.gate()
    job = home.enqueue("echo >running; read _ <gate")
    home.appears("running")
    term(home)
    manager.status("draining 1 job")
    home.send(home.daemon, signal.SIGUSR1)
    assert manager.until("STATUS=restarting: 1 job goes on")[0] == "STOPPING=1"
    home.serve()
    ready = manager.until("READY=1")
    assert re.fullmatch("STATUS=1 running, 0 queued, [12] workers?", ready[1])
    gate.open()
    assert home.ended(job)["state"] == "completed"
    manager.until_any(lambda line: line.startswith("STATUS=0 running"), "it ended")


def test_without_a_manager_nothing_is_different(home: Home) -> None:
    """WATCHDOG_USEC without NOTIFY_SOCKET changes nothing."""
    home.environ["WATCHDOG_USEC"] = "200000"
    home.serve()
    home.ask("workers.start")
    home.ended(home.enqueue("true"))
    home.kill(home.daemon, number=signal.SIGTERM)
    assert "manager_not_told" not in home.log()
