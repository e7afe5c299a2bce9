"""``health``: what a monitor sees of a queue that is well, and of each that is not."""

import json
import os
import re
import signal
import time
from pathlib import Path

import pytest

from helpers import hindered, markdown, waiting
from helpers.cli import Cli
from queuectl import Client
from queuectl.cli.requests import waiting_notice
from queuectl.health import GAUGES, Level

PAGE = Path(__file__).parents[3] / "docs" / "howto" / "monitoring.md"


def health(cli: Cli, *arguments: str, **variables: str) -> tuple[int, str]:
    """Ask; return the status and the one line."""
    said = cli("health", *arguments, **variables)
    assert said.err == ""
    assert said.out.count("\n") == 1
    return said.code, said.out.rstrip("\n")


def test_a_queue_that_works_is_well(fresh: Cli) -> None:
    """In one line, on stdout; with figures if they are wanted."""
    fresh.ok("worker", "start")
    fresh.ended("true")
    line = "QUEUECTL OK - 0 waiting, 0 running, 0 dead; workers: 1"
    assert health(fresh) == (0, line)
    code, figures = health(fresh, "--perfdata")
    told, _, data = figures.partition(" | ")
    assert (code, told) == (0, line)
    shape = r"[a-z]+=[\d.e+]+(s|B)?(;[\d:]*;[\d:]*)?"
    assert all(re.fullmatch(shape, each) for each in data.split())
    assert {"pending=0", "missing=0;1;", "dead=0;10;100"} <= set(data.split())


def test_nothing_is_started(fresh: Cli) -> None:
    """Who is not there cannot be asked; a mistake in the line is no disaster."""
    code, line = health(fresh)
    assert code == Level.UNKNOWN
    assert line.startswith("QUEUECTL UNKNOWN - no daemon answers at ")
    assert fresh.home.processes() == []
    assert not (fresh.home.root / "queuectl.db").exists()
    said = fresh("health", "--json")
    assert (said.code, json.loads(said.out)["status"]) == (3, "unknown")
    for mistake in (("-w", "x=1"), ("-c", "free"), ("-w", "age=soon"), ("--what",)):
        said = fresh("health", *mistake)
        assert (said.code, said.out) == (3, "")
        assert said.err.startswith("Usage: queuectl health ")


def test_jobs_that_nobody_runs_are_seen(fresh: Cli) -> None:
    """First a warning, after five minutes a disaster; the limits can be others."""
    fresh.ok("daemon", "start")
    assert health(fresh)[0] == 0
    fresh("enqueue", "true")
    code, line = health(fresh)
    assert code == 1
    assert line.startswith("QUEUECTL WARNING - no workers, and a job has waited ")
    assert health(fresh, "-c", "unmanned=0")[0] == 2
    assert health(fresh, "-w", "unmanned=off")[0] == 0
    fresh.ok("worker", "start")
    waiting.until(lambda: health(fresh)[0] == 0, "the job is run")


def test_jobs_that_die_and_wait_are_seen(fresh: Cli) -> None:
    """Those of the last hour; and one that waits for a busy worker."""
    fresh.ok("worker", "start")
    fresh.ended("exit 3", "--max-retries", "0")
    assert health(fresh)[0] == 0
    assert health(fresh, "-w", "dead=1") == (
        1,
        "QUEUECTL WARNING - jobs that died in an hour: 1",
    )
    gate = fresh.home.gate()
    fresh.enqueue("echo >busy; read _ <gate")
    fresh.home.appears("busy")
    fresh.enqueue("true")
    assert health(fresh)[0] == 0
    assert health(fresh, "-c", "age=0")[0] == 2
    gate.open()


def test_little_room_is_seen(fresh: Cli) -> None:
    """Under its limit, not over it."""
    fresh.ok("daemon", "start")
    code, line = health(fresh, "-c", "free=999999G", "-w", "free=off")
    assert code == 2
    assert re.fullmatch(r"QUEUECTL CRITICAL - [\d.]+ \w+ free", line)


def test_json_has_findings_and_facts(fresh: Cli) -> None:
    """All that was looked at, with the figures that it was judged by."""
    fresh.ok("daemon", "start")
    told = fresh.json("health", "--json")
    assert (told["status"], told["code"]) == ("ok", 0)
    names = [finding["check"] for finding in told["findings"]]
    assert names == ["store", "daemon", *GAUGES]
    assert told["facts"]["store"] == {"problem": None}


def test_a_python_program_can_ask(fresh: Cli) -> None:
    """The same figures, typed."""
    fresh.ok("daemon", "start")
    with Client(str(fresh.home.socket)) as q:
        found = q.health()
    assert (found.draining, found.store.problem, found.pending) == (False, None, 0)
    assert found.free is not None


def test_a_daemon_that_hangs_is_a_disaster_within_the_timeout(fresh: Cli) -> None:
    """One that takes connections and answers nothing."""
    fresh.ok("daemon", "start")
    os.kill(fresh.home.daemon, signal.SIGSTOP)
    try:
        begin = time.monotonic()
        assert health(fresh, "--timeout", "0.3") == (
            2,
            "QUEUECTL CRITICAL - the daemon does not answer within 0.3 s",
        )
        assert time.monotonic() - begin < waiting.DEADLINE
    finally:
        os.kill(fresh.home.daemon, signal.SIGCONT)


def test_a_full_disk_is_a_disaster_until_there_is_room(fresh: Cli) -> None:
    """Also for who waits for a job; a result that is not stored is counted."""
    home = fresh.home
    hindered.serve(home, constants={"control.attempts.RETRY": 0.05})
    home.ask("workers.start")
    gate = home.gate()
    home.enqueue("echo >busy; read _ <gate")
    home.appears("busy")
    waits = home.enqueue("true")
    (home.root / "full").touch()
    assert health(fresh) == (2, "QUEUECTL CRITICAL - the store fails: no room")
    with Client(str(home.socket)) as client:
        said = waiting_notice.explanation(client, waits)
    assert said == f"job {waits} waits: the daemon can store nothing: no room"
    gate.open()
    waiting.until(lambda: home.ask("health")["unstored"] == 1, "it is not stored")
    assert "; results not stored: 1" in health(fresh)[1]
    (home.root / "full").unlink()
    waiting.until(lambda: health(fresh)[0] == 0, "there is room again")
    home.ended(waits)


@pytest.mark.parametrize("point", ["read", "write"])
def test_a_store_that_hangs_is_a_disaster_and_no_reason_to_hang(
    fresh: Cli, point: str
) -> None:
    """The answer comes in time, each time; and is well again when the store is."""
    home = fresh.home
    hindered.serve(home, constants={"server.health.probe.WITHIN": 0.2})
    home.ask("ping")
    with hindered.held(home, point) as hold:
        for _ in range(3):
            assert health(fresh) == (
                2,
                "QUEUECTL CRITICAL - the store fails: it has not answered for 0.2 s",
            )
        hold.reached()
    waiting.until(lambda: health(fresh)[0] == 0, "it answers again")


def test_a_daemon_that_stops_is_a_warning(fresh: Cli) -> None:
    """It answers until its jobs have ended; that no job begins is meant."""
    fresh.ok("worker", "start")
    gate = fresh.home.gate()
    fresh.enqueue("echo >busy; read _ <gate")
    fresh.home.appears("busy")
    fresh.enqueue("true")
    os.kill(fresh.home.daemon, signal.SIGTERM)
    waiting.until(lambda: fresh.home.ask("status")["draining"], "it is told")
    code, line = health(fresh)
    assert (code, line) == (
        1,
        "QUEUECTL WARNING - the daemon is stopping: no job begins",
    )
    gate.open()
    waiting.until(fresh.home.gone, "it has stopped")


def test_the_page_has_the_limits_of_the_table() -> None:
    """Each gauge with its limits, in the order of the table."""
    rows = markdown.rows(PAGE.read_text(), "gauge")
    told = [
        (
            f"`{name}`",
            *(
                "off" if limit is None else gauge.text(limit)
                for limit in (gauge.warning, gauge.critical)
            ),
        )
        for name, gauge in GAUGES.items()
    ]
    assert [(f"`{row[0].strip('`')}`", *row[1:3]) for row in rows] == told


def test_the_levels_are_those_of_the_page() -> None:
    """Status, word and meaning."""
    rows = markdown.rows(PAGE.read_text(), "status")
    assert [(row[0], row[1]) for row in rows] == [
        (str(int(level)), level.name) for level in Level
    ]
