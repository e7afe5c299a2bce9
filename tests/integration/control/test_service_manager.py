"""What a daemon tells its service manager: signs of life, its status, its need of time.

The manager is the test: it has the socket, and the daemon is the real one.
"""

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from helpers import databases, hindered, waiting
from helpers.home import Home, a_home
from queuectld.control.service_manager import START_WITHIN, STATUS_EVERY
from queuectld.host import sd_notify

BEAT = 0.1
"""Seconds between two signs of life."""

SILENCE = 1.0
"""Seconds without one after which a manager would act: ten that did not come."""

QUIET = 2.0
"""Seconds in which an idle daemon would have told something, if it did so by itself."""

WATCHDOG = "WATCHDOG=1"


class Manager:
    """A service manager's end of NOTIFY_SOCKET.

    Attributes:
        heard: all that was read, by line, in the order it was sent.
    """

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.heard: list[str] = []

    def next(self, within: float = waiting.DEADLINE) -> list[str]:
        """Return the lines of the next message; none if none comes in time."""
        self.socket.settimeout(within)
        try:
            lines = self.socket.recv(4096).decode().split("\n")
        except (TimeoutError, BlockingIOError):
            return []
        self.heard += lines
        return lines

    def until(self, line: str) -> list[str]:
        """Read up to a line; return the message that has it."""
        return self.until_any(lambda found: found == line, line)

    def until_any(self, wanted: Callable[[str], bool], what: str) -> list[str]:
        """Read up to a line that is wanted; return its message."""
        deadline = time.monotonic() + waiting.DEADLINE
        while (left := deadline - time.monotonic()) > 0:
            if any(map(wanted, lines := self.next(left))):
                return lines
        raise AssertionError(f"not told: {what}; told: {self.heard}")

    def status(self, text: str) -> None:
        """Read up to a status."""
        self.until(f"STATUS={text}")

    def silent(self, within: float) -> bool:
        """Whether a time comes, soon, in which nothing is sent."""
        deadline = time.monotonic() + waiting.DEADLINE
        while self.next(within):
            if time.monotonic() > deadline:
                return False
        return True


@pytest.fixture
def home() -> Iterator[Home]:
    """A home in which no daemon runs yet; none may be left in it."""
    with a_home() as made:
        yield made


@pytest.fixture
def manager(home: Home) -> Iterator[Manager]:
    """A manager that receives the messages of the daemons in the home."""
    made = Manager(home.root / "notify")
    home.environ["NOTIFY_SOCKET"] = str(home.root / "notify")
    yield made
    made.socket.close()


@pytest.fixture
def watched(home: Home, manager: Manager) -> Manager:
    """The same manager, with a watchdog."""
    home.environ["WATCHDOG_USEC"] = str(round(2 * BEAT * 1_000_000))
    return manager


def term(home: Home) -> None:
    home.send(home.daemon, signal.SIGTERM)


def extensions(lines: list[str]) -> list[float]:
    """Return the seconds of each request for time."""
    name = "EXTEND_TIMEOUT_USEC="
    found = [line.removeprefix(name) for line in lines if line.startswith(name)]
    return [int(usec) / 1_000_000 for usec in found]


# Signs of life


def test_an_idle_daemon_gives_signs_of_life(home: Home, watched: Manager) -> None:
    """They come regularly, and the files of the store do not change."""
    home.serve()
    home.ask("workers.start")
    home.ended(job := home.enqueue("true"))
    watched.status("0 running, 0 queued, 1 worker")
    database = home.root / "queuectl.db"
    log = database.with_name("queuectl.db-wal")
    waiting.until(
        lambda: databases.state_of(database, job) == "completed",
        "the log has been emptied",
    )
    with home.connect() as client:
        client.refused("cancel", id=job)  # by the writer, when it is through with that
    before = [(f.stat().st_mtime_ns, f.stat().st_size) for f in (database, log)]
    for _ in range(10):
        watched.until(WATCHDOG)
    after = [(f.stat().st_mtime_ns, f.stat().st_size) for f in (database, log)]
    assert after == before


@pytest.mark.parametrize("point", ["claim", "read"])
def test_a_store_that_hangs_stops_the_signs_of_life(
    home: Home, watched: Manager, point: str
) -> None:
    """A write or a query does not return; the loop goes on meanwhile."""
    hindered.serve(home)
    home.ask("workers.start")
    watched.until(WATCHDOG)
    with hindered.held(home, point) as hold:
        job = home.enqueue("true")
        hold.reached()
        assert watched.silent(SILENCE)
        home.ask("ping")  # is answered by the loop alone
        assert "store_silent" in home.log()
    watched.until(WATCHDOG)
    assert home.ended(job)["state"] == "completed"


def test_a_loop_that_hangs_stops_the_signs_of_life(
    home: Home, watched: Manager
) -> None:
    """No thread sends them instead."""
    daemon = home.serve()
    watched.until(WATCHDOG)
    home.send(daemon.pid, signal.SIGSTOP)
    assert watched.silent(SILENCE)
    home.send(daemon.pid, signal.SIGCONT)
    watched.until(WATCHDOG)


def test_a_store_that_refuses_is_alive(home: Home, watched: Manager) -> None:
    """The watchdog does not kill a daemon whose disk is full."""
    hindered.serve(home)
    (home.root / "full").touch()
    refused = home.run("enqueue", "true")
    assert refused.returncode != 0
    watched.silent(0)
    for _ in range(10):
        watched.until(WATCHDOG)
    (home.root / "full").unlink()
    home.enqueue("true")


def test_there_are_signs_of_life_while_it_drains(home: Home, watched: Manager) -> None:
    """The loop serves requests until the end."""
    home.serve()
    home.ask("workers.start")
    gate = home.gate()
    home.enqueue("echo >running; read _ <gate")
    home.appears("running")
    term(home)
    watched.status("draining 1 job")
    for _ in range(5):
        watched.until(WATCHDOG)
    gate.open()
    waiting.until(home.gone, "it has ended")


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
