"""``run``: which worker runs the job, what it waits for, and its fields."""

import re

import pytest

from helpers import waiting
from helpers.cli import Cli, Said
from helpers.rawclient import PATIENCE
from helpers.runs import begin, ended, no_workers

NOBODY = {"active": 0, "busy": 0}


# -- a worker for it alone ------------------------------------------------------------


def test_where_no_worker_is_one_comes_for_it_alone(fresh: Cli) -> None:
    """Also in a queue without a daemon; it goes with the job, and is wanted nowhere."""
    assert fresh("run", "echo first") == Said(0, "first\n", "")
    no_workers(fresh.home)
    assert fresh("run", "echo again; exit 7") == Said(7, "again\n", "")
    no_workers(fresh.home)
    assert fresh.json("status", "--json")["workers"] == NOBODY
    assert fresh.home.ask("workers.list")["wanted"] == 0


def test_it_begins_no_backlog(fresh: Cli) -> None:
    """What waited before it, and at a higher priority, goes on waiting."""
    waits = fresh("enqueue", "-p", "9", "echo >backlog").out.strip()
    gate = fresh.home.gate()
    child = begin(fresh.home, "echo >mine; read _ <gate; echo done")
    fresh.home.appears("mine")
    (worker,) = fresh.home.ask("workers.list")["workers"]
    assert (worker["reserved"], worker["bound"]) == (True, True)
    assert "for one job" in fresh.ok("worker", "list")
    assert fresh.json("status", "--json")["workers"] == NOBODY
    later = fresh.home.ask("enqueue", job={"command": "true"})
    assert later["workers"] == 0
    gate.open()
    assert ended(child) == Said(0, "done\n", "")
    no_workers(fresh.home)
    states = [fresh.home.job(each)["state"] for each in (waits, later["job"]["id"])]
    assert states == ["pending", "pending"]
    assert not (fresh.home.work / "backlog").exists()


def test_two_at_once_have_a_worker_each(fresh: Cli) -> None:
    """One that is there for one job is none to the other."""
    gate = fresh.home.gate()
    fresh.ok("daemon", "start")
    children = [begin(fresh.home, f"echo >r{n}; read _ <gate") for n in range(2)]
    for number in range(2):
        fresh.home.appears(f"r{number}")
    gate.open(2)
    assert [ended(child) for child in children] == [Said(0, "", "")] * 2
    no_workers(fresh.home)


def test_workers_that_come_meanwhile_are_not_disturbed(fresh: Cli) -> None:
    """They take the backlog; the number wanted is the operator's alone."""
    waits = fresh("enqueue", "echo >backlog").out.strip()
    gate = fresh.home.gate()
    child = begin(fresh.home, "echo >mine; read _ <gate")
    fresh.home.appears("mine")
    fresh.ok("worker", "start", "--count", "2")
    assert fresh.home.ended(waits)["state"] == "completed"
    assert fresh.home.ask("workers.ensure", count=2) == {"workers": 2, "wanted": 2}
    assert fresh.json("status", "--json")["workers"] == {"active": 2, "busy": 0}
    gate.open()
    assert ended(child) == Said(0, "", "")
    waiting.until(lambda: len(fresh.home.workers()) == 2, "its own has ended")
    assert fresh.home.ask("workers.list")["wanted"] == 2


def test_where_workers_are_it_waits_its_turn(fresh: Cli) -> None:
    """None is added, however long it takes, and it says behind what."""
    fresh.ok("worker", "start")
    gate = fresh.home.gate()
    busy = fresh.enqueue("echo >busy; read _ <gate")
    fresh.home.appears("busy")
    before = fresh.enqueue("true")
    child = begin(fresh.home, "echo here")
    assert child.stderr
    said = child.stderr.readline()
    assert re.fullmatch(
        rf"job \d+ waits for the worker, busy with job {busy}; 1 job is before it\n",
        said,
    )
    assert len(fresh.home.workers()) == 1
    gate.open()
    assert ended(child) == Said(0, "here\n", "")
    assert fresh.home.job(before)["state"] == "completed"


def test_quiet_says_nothing_of_its_waiting(fresh: Cli) -> None:
    """For scripts; how the job ended is told all the same."""
    fresh.ok("worker", "start")
    gate = fresh.home.gate()
    fresh.enqueue("echo >busy; read _ <gate")
    fresh.home.appears("busy")
    loud = begin(fresh.home, "true")
    quiet = begin(fresh.home, "--quiet", "--cwd", "/no/such", "true")
    assert loud.stderr
    assert loud.stderr.readline().startswith("job ")
    gate.open()
    assert ended(loud).code == 0
    assert ended(quiet) == Said(
        127,
        "",
        "queuectl: cannot enter the directory /no/such: No such file or directory\n",
    )


@pytest.mark.parametrize("options", [(), ("--now",)])
def test_a_stop_of_all_workers_stops_its_own(
    fresh: Cli, options: tuple[str, ...]
) -> None:
    """What runs ends first; interrupted, it is pending, and no worker comes back."""
    gate = fresh.home.gate()
    child = begin(fresh.home, "echo >mine; read _ <gate; echo done")
    fresh.home.appears("mine")
    (job,) = fresh.home.ask("list")["jobs"]
    if options:
        said = fresh("worker", "stop", *options)
        assert said.out == "1 worker stopped\n1 job interrupted, and pending again\n"
        assert fresh.home.job(job["id"])["state"] == "pending"
        assert fresh.home.workers() == []
        (fresh.home.work / "mine").unlink()
        fresh.ok("worker", "start")
        fresh.home.appears("mine")
    else:
        stopping = fresh.home.begin("worker", "stop")
        waiting.until(
            lambda: [w["state"] for w in fresh.home.workers()] == ["stopping"],
            "it is told",
        )
        gate.open()
        assert stopping.wait(PATIENCE) == 0
    gate.open()
    assert ended(child) == Said(0, "done\n", "")


# -- what kind of job it is -----------------------------------------------------------


def test_it_has_no_timeout_unless_one_is_given(fresh: Cli) -> None:
    """Whatever the setting says, in options and in JSON."""
    fresh.ok("config", "set", "timeout", "0.1")
    lines = [
        (("run", "true"), 0),
        (("run", "--timeout", "5m", "true"), 300),
        (("run", '{"command": "true"}'), 0),
        (("run", '{"command": "true", "timeout": 7}'), 7),
        (("run", '{"command": "true", "timeout": null}'), 0),
    ]
    for arguments, timeout in lines:
        fresh.ok(*arguments)
        (job,) = fresh.json("list", "--json", "-n", "1")
        assert (job["timeout"], job["foreground"]) == (timeout, True)


def test_its_failures_are_left_out_when_all_are_retried(fresh: Cli) -> None:
    """They are in the dead letter queue, are told of, and can be retried by id."""
    assert fresh("run", "exit 3").code == 3
    fresh.home.forget_remarks()
    other = fresh("enqueue", "exit 4", "--max-retries", "0").out.strip()
    fresh.ok("worker", "start")
    fresh.home.ended(other)
    fresh.ok("worker", "stop")
    assert len(fresh.json("dlq", "list", "--json")) == 2
    assert fresh("dlq", "retry", "--all") == Said(
        0,
        "1 job pending again\n",
        "1 job of queuectl run left; retry by id: queuectl dlq list\n",
    )
    (mine,) = fresh.json("dlq", "list", "--json")
    assert mine["foreground"] is True
    assert "dlq retry --all leaves it out" in fresh.ok("show", mine["id"])
    assert fresh.home.ask("retry_all", state="dead") == {"retried": 1, "skipped": 0}


def test_a_shell_can_be_chosen(fresh: Cli) -> None:
    """By the job or by the setting, which a job takes along; never with words."""
    fresh.ok("daemon", "start")
    line = "echo ${BASH_VERSION:+bash}"
    assert fresh.ok("run", "--shell", "/bin/bash", line) == "bash\n"
    fresh.ok("config", "set", "shell", "/bin/bash")
    assert fresh.ok("config", "get", "shell") == "/bin/bash\n"
    assert fresh.ok("run", line) == "bash\n"
    assert fresh.ok("run", "--", "echo", "words") == "words\n"
    assert fresh.json("list", "--json", "-n", "1")[0]["shell"] is None
    assert fresh.ok("run", "--shell", "/bin/sh", "echo $0") == "/bin/sh\n"
    fresh.ok("config", "unset", "shell")
    assert fresh("run", "--shell", "/no/such", "true") == Said(
        127,
        "",
        "there is no shell /no/such yet; without it the job fails\n"
        "queuectl: /no/such: no such file\n",
    )
