"""What a command says to whoever went a little astray, and how it ends then."""

import re
import subprocess
from pathlib import Path

import pytest

from helpers.cli import Cli, shared
from helpers.home import BIN
from helpers.waiting import until

cli = shared(workers=1)

NEVER = ("--delay", "1d")

FULL = "No space left on device"


def _into_full(cli: Cli, *arguments: str) -> tuple[int, str]:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [BIN / "queuectl", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=cli.home.environ,
            cwd=cli.home.work,
            timeout=60,
            check=False,
        )
    return done.returncode, done.stderr


def _is(cli: Cli, job: str, state: str) -> None:
    until(
        lambda: cli.json("show", "--json", job)["job"]["state"] == state,
        f"job {job} is {state}",
    )


def test_a_relative_home_that_is_not_there_is_made(fresh: Cli) -> None:
    """It is taken from where the command runs, and its daemon is that one's."""
    where = fresh.home.work
    said = fresh("enqueue", *NEVER, "true", QUEUECTL_HOME="r3")
    try:
        assert (said.code, said.out) == (0, "1\n")
        assert (where / "r3/queuectl.db").exists()
    finally:
        fresh.ok("daemon", "stop", QUEUECTL_HOME="r3")


@pytest.mark.parametrize("command", [("enqueue", "true"), ("status",)])
def test_a_relative_home_of_the_user_is_refused(
    fresh: Cli, command: tuple[str, ...]
) -> None:
    """Rather than to put a queue where nobody looks for one."""
    variables = {"QUEUECTL_HOME": "", "XDG_STATE_HOME": "", "HOME": "relative"}
    refused = fresh.refused(*command, **variables)
    assert "set HOME to an absolute path, or QUEUECTL_HOME" in refused
    assert not (fresh.home.work / "relative").exists()


def test_a_started_job_is_said_to_be_due(cli: Cli) -> None:
    """And not how its last run ended, which would read as a failure of the start."""
    cli.ok("config", "set", "backoff_base", "1000")
    failing = cli.enqueue("exit 1")
    _is(cli, failing, "failed")
    busy, later = cli.enqueue("sleep 1000"), cli.enqueue("true", *NEVER)
    _is(cli, busy, "processing")
    assert cli.ok("start", failing, later) == (
        f"{failing}: failed, due now\n{later}: pending, due now\n"
    )
    cli.ok("cancel", busy)
    cli.ok("config", "unset", "backoff_base")


def test_a_group_of_a_shell_is_given_with_c(cli: Cli) -> None:
    """A line that begins with a brace is taken for JSON; that is said, with a way."""
    way = "; a shell line that begins with { is given with -c"
    for verb in ("enqueue", "run"):
        assert cli.refused(verb, "{ echo; }").endswith(way)
    said = cli("enqueue", "--file", "-", stdin="{ echo; }\n")
    assert said.code == 1
    assert way not in said.err


def test_run_says_that_a_job_whose_output_is_lost_was_cancelled(cli: Cli) -> None:
    """It ends with 1; the job would have gone on for nobody."""
    code, err = _into_full(cli, "run", "echo a; sleep 1000")
    assert code == 1
    found = re.search(r"^job (\d+) is cancelled: its output cannot be written", err)
    assert found, err
    assert FULL in err
    job = found[1]
    _is(cli, job, "cancelled")


@pytest.mark.parametrize("json", [(), ("--json",)])
def test_wait_says_on_stderr_what_stdout_does_not_take(
    cli: Cli, json: tuple[str, ...]
) -> None:
    """It waited: of a job that completed it ends with 4, else with the job's own."""
    good, bad = cli.ended("true"), cli.ended("exit 6", "--max-retries", "0")
    code, err = _into_full(cli, "wait", *json, good)
    assert (code, "completed" in err, FULL in err) == (4, True, True)
    code, err = _into_full(cli, "wait", *json, bad)
    assert (code, "dead" in err, FULL in err) == (6, True, True)


def test_enqueue_waits_for_a_job_whose_id_cannot_be_written(cli: Cli) -> None:
    """It ends with the job's own code, and the id is on stderr."""
    code, err = _into_full(cli, "enqueue", "--wait", "--max-retries", "0", "exit 6")
    assert (code, FULL in err) == (6, True)
    assert _into_full(cli, "enqueue", "--wait", "true")[0] == 4


def test_health_that_cannot_be_told_is_no_warning(cli: Cli) -> None:
    """Nothing is known then, which to a monitor is 3."""
    for options in ((), ("--json",)):
        assert _into_full(cli, "health", *options) == (
            3,
            f"queuectl: cannot write: {FULL}\n",
        )


def test_health_wants_some_time(cli: Cli) -> None:
    """With none at all every daemon would count as hanging."""
    said = cli("health", "-t", "0")
    assert (said.code, said.out) == (3, "")
    assert "more than 0" in said.err


def test_a_list_tells_no_path_of_a_command_not_found(cli: Cli) -> None:
    """What that was is to be seen with ``show``."""
    job = cli.ok("enqueue", "--max-retries", "0", "--", "nosuchcmd").strip()
    cli.home.ended(job)
    (row,) = [r for r in cli.ok("list").splitlines() if r.startswith(f"{job} ")]
    assert "spawn error: nosuchcmd: command not found  " in row
    assert "PATH" not in row
    assert "the job's PATH is" in cli.ok("show", job)


@pytest.mark.parametrize("line", ["   ", " \t\n"])
def test_a_line_of_white_space_is_no_command(cli: Cli, line: str) -> None:
    """A word of it is one: a program may be called so."""
    assert cli.refused("enqueue", line) == "command is empty"
    assert cli.refused("enqueue", "-c", line) == "command is empty"
    cli.ok("enqueue", *NEVER, "--", line)


def test_a_shell_that_is_not_there_is_remarked(cli: Cli) -> None:
    """It may be there when the job runs, so the job is stored all the same."""
    said = cli("enqueue", *NEVER, "--shell", "/nonexist", "true")
    assert said.code == 0
    assert said.err == "there is no shell /nonexist yet; without it the job fails\n"
    said = cli("config", "set", "shell", "/nonexist")
    assert said.code == 0
    assert said.err == "there is no shell /nonexist yet; without it jobs fail\n"
    assert cli("config", "set", "shell", "/bin/sh").err == ""
    cli.ok("config", "unset", "shell")
    cli.ok("enqueue", *NEVER, "--shell", "/bin/sh", "true")


def test_a_file_without_a_job_is_remarked(cli: Cli) -> None:
    """It is no failure."""
    assert cli("enqueue", "--file", "-") == (0, "", "no jobs in stdin\n")


@pytest.mark.parametrize("verb", [("run",), ("enqueue", "--wait")])
def test_a_job_that_waits_behind_itself_says_so(
    cli: Cli, verb: tuple[str, ...]
) -> None:
    """With one worker, which runs the very job that waits, it would wait for ever."""
    line = " ".join([str(BIN / "queuectl"), *verb, "true"])
    job = cli.enqueue(f"{line} 2>&1")
    said = f"job {job} is this job itself: with no other worker it never begins"
    until(lambda: said in cli("logs", job).out, "it says so")
    cli.ok("cancel", job)
    for left in cli.json("list", "--state", "pending", "--json"):
        if left["command"] == "true" and not left["run_at"].startswith("2099"):
            cli("cancel", left["id"])
