"""Limits of jobs on the command line: taken where they hold, else refused."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers.cli import Cli
from helpers.home import a_home
from queuectl import Client, errors

NEVER = ("--delay", "1d")


@pytest.fixture(scope="module")
def cli() -> Iterator[Cli]:
    """A queue whose jobs have no cgroups, wherever the test runs."""
    with a_home() as home:
        home.environ["QUEUECTLD_CGROUP"] = "off"
        made = Cli(home)
        made.ok("daemon", "start")
        made.ok("worker", "start")
        yield made


def jobs(cli: Cli) -> int:
    """Return how many jobs there are."""
    return len(cli.json("list", "--json"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--memory-max", "512M"), "memory_max cannot be enforced"),
        (("--cpu-quota", "150%"), "cpu_quota cannot be enforced"),
        (("--tasks-max", "64"), "tasks_max cannot be enforced"),
        (("--memory-max", "64"), "memory_max must be from"),
        (("--cpu-quota", "-1"), "cpu_quota must be from"),
        (("--nice", "20"), "nice must be from"),
    ],
)
@pytest.mark.parametrize("command", ["enqueue", "run"])
def test_a_limit_that_does_not_hold_is_refused(
    cli: Cli, command: str, options: tuple[str, ...], words: str
) -> None:
    """By its name, and nothing is enqueued."""
    before = jobs(cli)
    assert cli.refused(command, *options, "true").startswith(words)
    assert jobs(cli) == before


def test_a_file_with_such_a_limit_is_refused_by_its_line(cli: Cli) -> None:
    """The whole batch with it."""
    before = jobs(cli)
    lines = ['{"command": "a"}', '{"command": "b", "memory_max": 1073741824}']
    said = cli("enqueue", *NEVER, "--file", "-", stdin="\n".join(lines))
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("queuectl: stdin, line 2: memory_max cannot be")
    assert said.err.endswith("\nnothing was enqueued\n")
    assert jobs(cli) == before


def test_a_default_that_does_not_hold_is_refused(cli: Cli) -> None:
    """As a value that cannot be; 0, which is no limit, can."""
    said = cli.misuse("config", "set", "memory-max", "1G")
    assert said.startswith("memory_max cannot be enforced")
    assert cli.ok("config", "set", "memory-max", "0").startswith("memory_max = 0 B\n")
    assert cli.ok("config", "unset", "memory-max").startswith("memory_max = 0 B\n")


def test_niceness_and_resource_limits_hold_everywhere(cli: Cli) -> None:
    """The job has them, and ``show`` tells them with their units."""
    own = os.getpriority(os.PRIO_PROCESS, 0)
    job = cli.ended(
        "ulimit -n; ulimit -c; ulimit -t; nice",
        *("--nice", "3", "--rlimit", "nofile=123", "--rlimit", "core=0"),
        *("--rlimit", "cpu=10m"),
    )
    assert cli.ok("logs", job) == f"123\n0\n600\n{min(own + 3, 19)}\n"
    told = cli.json("show", "--json", job)["job"]
    assert (told["nice"], told["memory_max"], told["tasks_max"]) == (3, 0, 0)
    assert told["rlimits"] == {"core": 0, "cpu": 600, "nofile": 123}
    shown = [line.split(maxsplit=1) for line in cli.ok("show", job).splitlines()]
    assert ["Limits", "nice 3"] in shown
    assert ["Rlimits", "core 0 B, cpu 10m, nofile 123"] in shown


def test_a_job_without_limits_shows_none(cli: Cli) -> None:
    """Nor does one that says so."""
    for options in ((), ("--memory-max", "0", "--cpu-quota", "0", "--nice", "0")):
        shown = cli.ok("show", cli.enqueue("true", *NEVER, *options))
        assert "imits" not in shown


def test_a_default_is_for_jobs_that_say_nothing(cli: Cli) -> None:
    """They keep it; 0 goes before it."""
    cli.ok("config", "set", "nice", "7")
    plain = cli.enqueue("true", *NEVER)
    without = cli.enqueue("true", *NEVER, "--nice", "0")
    cli.ok("config", "unset", "nice")
    assert cli.home.job(plain)["nice"] == 7
    assert cli.home.job(without)["nice"] == 0


def test_limits_in_json_and_of_a_file(cli: Cli) -> None:
    """Under their names on the wire; options give what a line leaves out."""
    job = {"command": "true", "nice": 1, "rlimits": {"core": -1}}
    lines = [json.dumps(job), '{"command": "true"}']
    options = ("--nice", "4", "--rlimit", "nofile=64")
    said = cli("enqueue", *NEVER, *options, "-f", "-", stdin="\n".join(lines))
    own, left = (cli.home.job(each) for each in said.out.split())
    assert (own["nice"], own["rlimits"]) == (1, {"core": -1})
    assert (left["nice"], left["rlimits"]) == (4, {"nofile": 64})


def test_the_daemon_tells_what_it_can_enforce(cli: Cli) -> None:
    """And why it is no more."""
    limits = cli.json("daemon", "status", "--json")["limits"]
    why = limits["missing"]
    assert limits == {"controllers": [], "missing": why}
    line = f"Limits of jobs   nice, rlimits; no more: {why}"
    assert line in cli.ok("daemon", "status").splitlines()


def test_from_python(cli: Cli, tmp_path: Path) -> None:
    """The same names; a refusal has the field."""
    with Client(str(cli.home.socket)) as q:
        options: dict[str, Any] = {"nice": 2, "rlimits": {"core": 0}, "delay": 1000}
        job = q.get(q.enqueue("true", cwd=tmp_path, **options).id)
        assert (job.nice, job.rlimits, job.memory_max) == (2, {"core": 0}, 0)
        with pytest.raises(errors.InvalidParamsError) as caught:
            q.enqueue("true", memory_max=1 << 30)
        assert caught.value.data == {"field": "memory_max"}
        with pytest.raises(errors.InvalidParamsError) as caught:
            q.enqueue_many(["true", {"command": "true", "cpu_quota": 20}])
        assert caught.value.data["index"] == 1
        found = q.daemon.status().limits
        assert found is not None
        assert found.controllers == ()
