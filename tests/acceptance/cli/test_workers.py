"""``worker``: what its commands say. What they do is in acceptance/workers."""

from typing import Any

import pytest

from helpers.cli import Cli, Said, shared
from helpers.fakeclient import FakeClient
from helpers.home import seconds
from queuectl.cli.commands.worker import jobs_affected_by_stop, row

cli = shared(workers=0)

WORKER_FIELDS = {
    "worker", "pid", "state", "job", "run", "started_at", "adopted", "bound",
    "run_started_at", "reserved",
}  # fmt: skip


def test_workers_are_added(cli: Cli) -> None:
    """Start returns when they are ready, and names them; stop when they are gone."""
    assert cli("worker", "start") == Said(0, "1 worker ready: 1\n", "")
    assert cli("worker", "start", "--count", "2") == Said(
        0, "2 workers ready: 2, 3\n", ""
    )
    assert cli.json("status", "--json")["workers"] == {"active": 3, "busy": 0}
    assert cli("worker", "stop") == Said(0, "3 workers stopped\n", "")
    assert cli.home.workers() == []
    assert cli("worker", "stop", "--timeout", "1m") == Said(
        0, "0 workers stopped\n", ""
    )
    assert cli("worker", "stop", "--now") == Said(0, "0 workers stopped\n", "")


def test_worker_commands_print_json(cli: Cli) -> None:
    """The new workers and how many are wanted; the list; the numbers stopped."""
    started = cli.json("worker", "start", "-n", "2", "--json")
    assert started["wanted"] == 2
    assert [set(each) for each in started["workers"]] == [WORKER_FIELDS] * 2
    assert {each["state"] for each in started["workers"]} == {"idle"}
    assert cli.json("worker", "list", "--json") == started["workers"]
    stopped = cli.json("worker", "stop", "--json")
    assert stopped == {"stopped": 2, "interrupted": 0}
    assert cli.json("worker", "list", "--json") == []
    assert cli("worker", "list") == Said(0, "", "no workers are running\n")


def test_a_worker_is_listed_with_what_it_runs(cli: Cli) -> None:
    """Its job, the run and since when; a foreground one is marked."""
    client = cli.home.begin("worker", "start", "--foreground", "--count", "1")
    assert client.stdout
    assert client.stdout.readline().startswith("1 worker ready: ")
    gate = cli.home.gate()
    job = cli.enqueue("echo >listed; read _ <gate")
    cli.home.appears("listed")
    (found,) = cli.json("worker", "list", "--json")
    assert (found["state"], found["job"], found["run"]) == ("busy", job, 1)
    assert (found["bound"], found["adopted"]) == (True, False)
    assert seconds(found["started_at"], cli.home.job(job)["started_at"]) >= 0
    assert found["run_started_at"] == cli.home.job(job)["started_at"]
    header, row = cli.ok("worker", "list").splitlines()
    titles = ["WORKER", "PID", "STATE", "AGE", "JOB", "RUN", "FOR", "NOTES"]
    assert header.split() == titles
    number, pid = str(found["worker"]), str(found["pid"])
    assert row.split()[:3] == [number, pid, "busy"]
    assert row.split()[4:6] == [job, "1"]
    assert row.endswith("foreground")
    gate.open()
    cli.home.ended(job)
    client.terminate()
    assert client.communicate()[0] == "1 worker stopped\n"


def test_the_age_of_a_worker_is_not_that_of_its_run() -> None:
    """Each stands in a column of its own; an idle worker has no run."""
    busy = {
        "worker": 7, "pid": 4711, "state": "busy", "job": "12", "run": 2,
        "started_at": "1970-01-01T00:00:10.000Z",
        "run_started_at": "1970-01-01T01:59:50.000Z",
        "adopted": False, "bound": False,
    }  # fmt: skip
    now = 7210.0
    assert row(busy, now) == ("7", "4711", "busy", "2h", "12", "2", "20s", "")
    idle = {**busy, "state": "idle", "job": None, "run": None, "run_started_at": None}
    assert row(idle, now) == ("7", "4711", "idle", "2h", "", "", "", "")
    del idle["run_started_at"]  # a daemon that does not say
    assert row(idle, now)[6] == ""


def test_stop_tells_what_it_waits_for(cli: Cli) -> None:
    """On stderr; and how many jobs were interrupted."""
    cli.ok("worker", "start")
    job = cli.enqueue("echo >stopped; sleep 605", "--id", "stopped")
    cli.home.appears("stopped")
    assert cli("worker", "stop", "--timeout", "0.1") == Said(
        0,
        "1 worker stopped\n1 job interrupted, and pending again\n",
        "waiting for 1 running job\n",
    )
    assert cli.home.job(job)["state"] == "pending"
    cli.ok("cancel", job)


def test_a_stop_of_some_waits_for_what_they_run(cli: Cli) -> None:
    """The idle go first; those of --foreground stay, whatever they run."""
    assert cli("worker", "stop", "-n", "3") == Said(0, "0 workers stopped\n", "")
    with cli.home.connect() as foreground:
        foreground.call("workers.start", bound=True)
        cli.ok("worker", "start")
        gates = [cli.home.gate(name) for name in ("first", "second")]
        jobs = [cli.enqueue(f"read _ <{name}") for name in ("first", "second")]
        for job in jobs:
            cli.home.until_state(job, "processing")
        stop = cli.home.begin("worker", "stop", "-n", "5")
        for gate in gates:
            gate.open()
        assert stop.communicate()[0] == "1 worker stopped\n"


@pytest.mark.parametrize(
    ("numbers", "count", "busy"),
    [((), None, 2), ((2,), None, 0), ((1, 3), None, 2), ((), 1, 0), ((), 9, 1)],
)
def test_what_a_stop_waits_for_or_interrupts(
    numbers: tuple[int, ...], count: int | None, busy: int
) -> None:
    """Of a number of workers the idle go first, and those of a connection stay."""
    found = [
        {"worker": 1, "job": "7", "bound": False},
        {"worker": 2, "job": None, "bound": False},
        {"worker": 3, "job": "8", "bound": True},
    ]
    client: Any = FakeClient(workers_list=lambda _params: {"workers": found})
    assert jobs_affected_by_stop(client, numbers, count) == busy


def test_there_is_a_most_of_workers(cli: Cli) -> None:
    """None is started when all are too many."""
    cli.ok("worker", "start")
    message = "a daemon runs at most 256 workers; nothing was started"
    assert cli.refused("worker", "start", "--count", "256") == message
    assert len(cli.home.workers()) == 1
    cli.ok("worker", "stop")
