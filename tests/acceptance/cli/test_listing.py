"""``status``, ``list`` and ``show``: how things stand, for people and for programs."""

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

from helpers.cli import NO_WORKERS, Cli, Said, shared

cli = shared(workers=1)

FIELDS = {
    "id", "command", "state", "attempts", "max_retries", "created_at", "updated_at",
    "run_at", "priority", "timeout", "backoff_base", "backoff_max", "backoff_jitter",
    "output_limit", "cwd", "umask", "queue", "exit_code", "signal", "reason",
    "message", "worker", "started_at", "finished_at", "label", "submitter", "runs",
    "cancel_requested", "nice", "memory_max", "cpu_quota", "tasks_max", "rlimits",
    "shell", "foreground", "expires",
}  # fmt: skip
"""Of a job, wherever one is told."""

ATTEMPT_FIELDS = {
    "run", "lease", "worker", "started_at", "finished_at", "reason", "exit_code",
    "signal", "message", "max_rss", "user_ms", "system_ms", "stdout_bytes",
    "stderr_bytes", "memory_peak",
}  # fmt: skip

EVIL = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202e\u2028\r"
"""What a terminal would act on."""


@pytest.fixture(scope="module")
def jobs(cli: Cli) -> Iterator[dict[str, str]]:
    """A job in each state, and their ids by it, oldest first."""
    gate = cli.home.gate()
    retry = {"command": "exit 4", "backoff_base": 1000}
    ids = {
        "completed": cli.ended("echo out; echo err >&2"),
        "dead": cli.ended("exit 3", "--max-retries", "0"),
        "failed": cli.ok("enqueue", json.dumps(retry)).strip(),
        "cancelled": cli.enqueue("true", "--delay", "1d"),
    }
    cli.ok("cancel", ids["cancelled"])
    cli.home.until_state(ids["failed"], "failed")
    ids["processing"] = cli.enqueue("echo >begun; read _ <gate")
    cli.home.appears("begun")
    ids["pending"] = cli.enqueue("true")
    yield ids
    gate.open()


def test_status_has_a_line_for_each_state(cli: Cli, jobs: dict[str, str]) -> None:
    """One for the workers, and one that tells which queue it is."""
    assert len(jobs) == 6
    assert cli("status") == Said(
        0,
        "Pending:        1\n"
        "Processing:     1\n"
        "Completed:      1\n"
        "Failed:         1\n"
        "Dead (DLQ):     1\n"
        "Cancelled:      1\n"
        "Ready:          1\n"
        "Delayed:        1\n"
        "Active Workers: 1\n"
        f"Queue:          your own: {cli.home.socket}\n",
        "",
    )


def test_status_as_json(cli: Cli, jobs: dict[str, str]) -> None:
    """The same numbers and the queue, by name."""
    counts = dict.fromkeys(jobs, 1)
    rest = {
        "ready": 1,
        "delayed": 1,
        "workers": {"active": 1, "busy": 1},
        "queue": {
            "kind": "user",
            "socket": str(cli.home.socket),
            "uid": os.geteuid(),
        },
    }
    assert cli.json("status", "--json") == {**counts, **rest}


def test_list_takes_several_states(cli: Cli, jobs: dict[str, str]) -> None:
    """As many as are given, in one order."""
    options = ("-s", "completed", "-s", "pending", "-s", "dead", "-s", "pending")
    listed = [job["id"] for job in cli.json("list", "--json", *options)]
    assert listed == [jobs["pending"], jobs["dead"], jobs["completed"]]
    (newest,) = cli.json("list", "--json", *options, "-n", "1")
    assert newest["id"] == jobs["pending"]


def test_list_is_newest_first(cli: Cli, jobs: dict[str, str]) -> None:
    """A line for each job, of one state alone if asked for."""
    newest = list(jobs.values())[::-1]
    header, *rows = cli.ok("list").splitlines()
    assert header.split() == ["ID", "STATE", "RUNS", "AGE", "RESULT", "COMMAND"]
    assert [row.split()[0] for row in rows] == newest
    for state, job in jobs.items():
        header, row = cli.ok("list", "--state", state).splitlines()
        assert row.split()[:2] == [job, state]
    assert cli.ok("list", "-n", "1").splitlines()[1].split()[0] == jobs["pending"]


def test_list_as_json_is_one_array(cli: Cli, jobs: dict[str, str]) -> None:
    """Of jobs as `show` has them, and without their environments."""
    listed = cli.json("list", "--json")
    assert [job["id"] for job in listed] == list(jobs.values())[::-1]
    for job in listed:
        assert set(job) == FIELDS
        assert job == cli.home.job(job["id"])
    (job,) = cli.json("list", "--json", "--state", "dead")
    assert (job["id"], job["exit_code"], job["reason"]) == (jobs["dead"], 3, "exit")


def test_list_with_output(cli: Cli, jobs: dict[str, str]) -> None:
    """The last lines of each stream below its job; in JSON as fields."""
    (job,) = cli.json("list", "--json", "--output", "--state", "completed")
    assert job["output"] == {"stdout": "out\n", "stderr": "err\n"}
    _, row, *lines = cli.ok("list", "--output", "--state", "completed").splitlines()
    assert row.split()[0] == jobs["completed"]
    assert lines == ["    | out", "    ! err"]
    (job,) = cli.json("list", "--json", "--output", "--state", "pending")
    assert job["output"] == {"stdout": "", "stderr": ""}


def test_show_has_the_job_and_its_attempts(cli: Cli, jobs: dict[str, str]) -> None:
    """For programs with every field, the running attempt included."""
    view = cli.json("show", "--json", jobs["failed"])
    assert set(view) == {"job", "attempts"}
    assert set(view["job"]) == FIELDS
    (attempt,) = view["attempts"]
    assert set(attempt) == ATTEMPT_FIELDS
    assert (attempt["run"], attempt["reason"], attempt["exit_code"]) == (1, "exit", 4)
    (attempt,) = cli.json("show", "--json", jobs["processing"])["attempts"]
    assert (attempt["run"], attempt["reason"]) == (1, None)
    assert cli.json("show", "--json", jobs["pending"])["attempts"] == []
    assert "'nope'" in cli.refused("show", "nope")


def test_show_tells_the_environment_when_asked(cli: Cli, jobs: dict[str, str]) -> None:
    """It may hold secrets, so not otherwise."""
    job = jobs["dead"]
    assert "env" not in cli.json("show", "--json", job)["job"]
    home = str(cli.home.root)
    assert cli.json("show", "--json", "--env", job)["job"]["env"]["QUEUECTL_HOME"] == (
        home
    )
    assert f"\n  QUEUECTL_HOME  {home}\n" in cli.ok("show", "--env", job)
    assert "QUEUECTL_HOME" not in cli.ok("show", job)


def test_a_list_of_nothing_says_so(cli: Cli, fresh: Cli) -> None:
    """To people, on stderr."""
    assert cli.home is not fresh.home
    fresh.ok("daemon", "start")
    assert fresh("list") == Said(0, "", "no jobs\n")
    assert fresh("list", "--state", "dead") == Said(0, "", "no dead jobs\n")
    both = ("-s", "dead", "-s", "failed")
    assert fresh("list", *both) == Said(0, "", "no dead or failed jobs\n")
    assert fresh("list", "--json") == Said(0, "[]\n", "")
    fresh.home.ask("enqueue", job={"command": "true"})
    assert fresh("status").err == NO_WORKERS
    assert fresh("status", "--json").err == ""


def test_a_limit_has_no_maximum(fresh: Cli) -> None:
    """The client asks for page after page; 100 unless told, and it says so."""
    fresh.ok("daemon", "start")
    for _ in range(3):
        fresh.home.ask("enqueue_many", jobs=[{"command": "true"}] * 1000)
    numbers = [str(n) for n in range(3000, 0, -1)]
    assert [job["id"] for job in fresh.json("list", "--json", "-n", "2345")] == (
        numbers[:2345]
    )
    rows = fresh.ok("list", "--limit", "1000000").splitlines()[1:]
    assert [row.split()[0] for row in rows] == numbers
    assert fresh.ok("list", "--limit", "1000").count("\n") == 1001
    said = fresh("list")
    assert (said.code, said.out.count("\n")) == (0, 101)
    assert said.err == "the newest 100 are shown; for more: --limit N\n"
    said = fresh("list", "--json")
    assert len(json.loads(said.out)) == 100
    assert said.err == "the newest 100 are shown; for more: --limit N\n"


@pytest.fixture(scope="module")
def evil(cli: Cli, jobs: dict[str, str]) -> Iterator[str]:
    """A job all of whose text would act on a terminal."""
    fields: dict[str, Any] = {
        "command": [f"./{EVIL}", EVIL],
        "label": EVIL,
        "cwd": f"/{EVIL}",
        "env": {EVIL: EVIL},
        "max_retries": 0,
    }
    # In this order: freed of the one that runs, the worker would take the other.
    cli.ok("cancel", jobs["pending"], jobs["processing"])
    said = cli("enqueue", json.dumps(fields))
    assert acting(said.err) == set()
    job = said.out.strip()
    cli.home.ended(job)
    yield job
    cli.home.ask("prune", states=["dead"])


@pytest.mark.parametrize(
    "arguments",
    [
        ("list",),
        ("list", "--json"),
        ("dlq", "list"),
        ("show", "ID", "--env"),
        ("show", "ID", "--env", "--json"),
        ("dlq", "show", "ID"),
        ("status",),
        ("wait", "ID"),
        ("cancel", "ID"),
        ("retry", EVIL),
        ("rpc", "get", '{"id": "ID", "env": true}'),
        ("show", EVIL),
        ("config", "get", EVIL),
        ("list", "--state", EVIL),
        (EVIL,),
        ("--socket", f"/{EVIL}", "status"),
    ],
)
def test_nothing_that_acts_on_a_terminal_gets_out(
    cli: Cli, evil: str, arguments: tuple[str, ...]
) -> None:
    """Other people's text is escaped, in tables, messages and JSON."""
    said = cli(*(each.replace("ID", evil) for each in arguments))
    assert said.out + said.err
    assert acting(said.out + said.err) == set()


def acting(text: str) -> set[str]:
    """Return the characters that do something else than being seen."""
    return {c for c in text if not c.isprintable()} - {"\n"}


def test_output_in_a_list_is_escaped(cli: Cli, jobs: dict[str, str]) -> None:
    """`logs` is for the bytes as they are; a list is for looking at."""
    assert jobs
    (cli.home.work / "evil").write_text(EVIL + "\n")
    job = cli.ok("enqueue", "--", "cat", "evil").strip()
    cli.home.ended(job)
    assert EVIL in cli.ok("logs", job)
    listed = cli.ok("list", "--output", "-n", "1")
    assert acting(listed) == set()
    (found,) = cli.json("list", "--json", "--output", "-n", "1")
    assert found["output"]["stdout"] == EVIL + "\n"
