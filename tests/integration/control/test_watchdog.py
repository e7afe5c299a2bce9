"""Signs of life: they show that both the event loop and the store work.

The test is the service manager: it has the socket, and the daemon is the real one.
"""

import signal

import pytest

from helpers import databases, hindered, waiting
from helpers.home import Home
from helpers.service_manager import WATCHDOG, Manager, term

SILENCE = 1.0
"""Seconds without one after which a manager would act: ten that did not come."""


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
