"""``enqueue``: one job, in every form in which it can be written."""

import json
from pathlib import Path
from typing import Any

import pytest

from helpers.cli import Cli, Said, shared
from helpers.home import seconds

cli = shared(workers=1)

NEVER = ("--delay", "1d")
"""Keeps a job where its fields can be looked at."""

EVERYTHING = {
    "id": "complete",
    "command": 'echo "$0" ü',
    "queue": "default",
    "priority": 5,
    "max_retries": 1,
    "timeout": 60,
    "backoff_base": 3,
    "backoff_max": 20.5,
    "backoff_jitter": 0,
    "output_limit": 1024,
    "run_at": "2099-12-01T10:00:00.000Z",
    "cwd": "/",
    "umask": "0027",
    "env": {"A": "1", "B": "x=y\n"},
    "label": "ünï",
    "nice": 5,
    "memory_max": 0,
    "cpu_quota": 0,
    "tasks_max": 0,
    "rlimits": {"core": 0, "fsize": -1},
    "shell": "/bin/bash",
    "foreground": True,
    "expires": "2099-12-02T10:00:00.000Z",
}


def test_the_id_alone_is_printed(cli: Cli) -> None:
    """So that id=$(queuectl enqueue ...) works, with a generated id or a given one."""
    said = cli("enqueue", *NEVER, "true")
    assert said == Said(0, f"{int(said.out)}\n", "")
    given = "A_z.0:9@x+y-z"
    assert cli("enqueue", *NEVER, "--id", given, "true") == Said(0, f"{given}\n", "")


def test_a_json_object_is_a_job(cli: Cli) -> None:
    """Every field that a submitter may set is kept as it was given."""
    assert cli.ok("enqueue", json.dumps(EVERYTHING)) == "complete\n"
    stored = cli.json("show", "--json", "--env", "complete")["job"]
    assert {name: stored[name] for name in EVERYTHING} == EVERYTHING
    assert stored["state"] == "pending"


def test_one_argument_is_a_shell_line(cli: Cli) -> None:
    """With all that a shell can do."""
    job = cli.ok("enqueue", "sleep 0 && echo hi | wc -c").strip()
    assert cli("wait", job) == Said(0, f"{job}: completed\n", "")
    assert cli("logs", job) == Said(0, "3\n", "")


def test_several_arguments_are_an_exact_argv(cli: Cli) -> None:
    """No shell comes between, and no quoting is lost."""
    words = ["a b", "it's", '"', "$HOME", "*", "", "a\nb", "\\", "ü\udcff", "--", "-x"]
    job = cli.ok("enqueue", "--", "printf", "<%s>", *words).strip()
    cli.home.ended(job)
    assert cli.ok("logs", job) == "".join(f"<{word}>" for word in words)
    stored = cli.json("show", job, "--json")["job"]["command"]
    assert stored == ["printf", "<%s>", *words]


def test_c_takes_any_shell_line(cli: Cli) -> None:
    """Also a group, which an argument alone could not be told from JSON."""
    job = cli.ended("{ echo grouped; } 2>&1")
    assert cli.ok("logs", job) == "grouped\n"
    assert cli.refused("enqueue", "{ echo grouped; }").startswith("bad JSON: ")


@pytest.mark.parametrize(
    ("options", "field", "value"),
    [
        (("-p", "5"), "priority", 5),
        (("--priority", "-5"), "priority", -5),
        (("--max-retries", "0"), "max_retries", 0),
        (("--timeout", "2m"), "timeout", 120),
        (("--timeout", "0"), "timeout", 0),
        (("--timeout", "1.5"), "timeout", 1.5),
        (("--label", "nightly build"), "label", "nightly build"),
        (("--cwd", "/usr/../tmp"), "cwd", "/tmp"),
        (("--nice", "5"), "nice", 5),
        (("--memory-max", "0"), "memory_max", 0),
        (("--cpu-quota", "0%"), "cpu_quota", 0),
        (("--tasks-max", "0"), "tasks_max", 0),
        (
            ("--rlimit", "core=0", "--rlimit", "cpu=1h"),
            "rlimits",
            {"core": 0, "cpu": 3600},
        ),
        ((), "priority", 0),
        ((), "max_retries", 3),
        ((), "timeout", 300),
        ((), "umask", "0022"),
        ((), "queue", "default"),
    ],
)
def test_options_are_fields(
    cli: Cli, options: tuple[str, ...], field: str, value: Any
) -> None:
    """What is not said has the default of the settings."""
    job = cli.json("enqueue", "--json", *NEVER, *options, "true")
    assert job[field] == value
    assert "env" not in job


def test_a_relative_directory_is_the_callers(cli: Cli) -> None:
    """Without --cwd the job runs where it was enqueued."""
    sub = cli.home.work / "sub"
    sub.mkdir()
    assert cli.json("enqueue", "--json", *NEVER, "true", cwd=sub)["cwd"] == str(sub)
    job = cli.json("enqueue", "--json", *NEVER, "--cwd", "..", "true", cwd=sub)
    assert job["cwd"] == str(cli.home.work)


@pytest.mark.parametrize(
    ("delay", "length"), [("90", 90), ("90s", 90), ("2h", 7200), ("1d", 86_400)]
)
def test_a_delay_counts_from_now(cli: Cli, delay: str, length: int) -> None:
    """Durations are written with a unit, or are seconds."""
    job = cli.json("enqueue", "--json", "--delay", delay, "true")
    assert seconds(job["created_at"], job["run_at"]) == pytest.approx(length, abs=1)
    assert cli.home.job(job["id"])["state"] == "pending"


@pytest.mark.parametrize(
    ("at", "run_at"),
    [
        ("2099-12-01T10:00:00Z", "2099-12-01T10:00:00.000Z"),
        ("2099-12-01T10:00:00.25+02:00", "2099-12-01T08:00:00.250Z"),
        ("2099-12-01 10:00", "2099-12-01T07:00:00.000Z"),
    ],
)
def test_a_start_time_may_be_local(cli: Cli, at: str, run_at: str) -> None:
    """With an offset it is that moment; without one the caller's zone counts."""
    job = cli.json("enqueue", "--json", "--at", at, "true", TZ="XYZ-3")
    assert job["run_at"] == run_at


def test_a_time_of_day_is_the_next_one(cli: Cli) -> None:
    """Within a day from now."""
    job = cli.json("enqueue", "--json", "--at", "10:00", "true", TZ="UTC")
    assert job["run_at"].endswith("T10:00:00.000Z")
    assert 0 <= seconds(job["created_at"], job["run_at"]) <= 86_400


@pytest.mark.parametrize(("given", "length"), [("90", 90), ("2h", 7200)])
def test_an_expiry_may_be_a_duration(cli: Cli, given: str, length: int) -> None:
    """Counted from now."""
    job = cli.json("enqueue", "--json", "--expires", given, "true")
    assert seconds(job["created_at"], job["expires"]) == pytest.approx(length, abs=1)


def test_an_expiry_may_be_a_time(cli: Cli) -> None:
    """Written as a start time is."""
    expiry = ("--expires", "2099-12-01 10:00")
    job = cli.json("enqueue", "--json", *expiry, "true", TZ="XYZ-3")
    assert job["expires"] == "2099-12-01T07:00:00.000Z"
    assert "'soon' is no time" in cli.misuse("enqueue", "--expires", "soon", "true")
    late = cli.refused("enqueue", "--expires", "2001-01-01T00:00:00Z", "true")
    assert late == "expires 2001-01-01T00:00:00.000Z has passed already"


def test_an_option_for_the_expiry_is_for_lines_that_say_none(cli: Cli) -> None:
    """Whichever way it is said, here and there."""
    option = ("--expires", "1h")
    text = '{"command": "true", "expires": "2099-12-01T10:00:00Z"}\n{"command": "x"}\n'
    own, other = cli.ok("enqueue", "--file", "-", *option, stdin=text).split()
    assert cli.home.job(own)["expires"] == "2099-12-01T10:00:00.000Z"
    job = cli.home.job(other)
    assert seconds(job["created_at"], job["expires"]) == pytest.approx(3600, abs=1)


def test_variables_are_set_on_top_of_the_callers(cli: Cli) -> None:
    """NAME alone takes the value it has here; --clean-env leaves the others out."""
    show = ("sh", "-c", 'echo "$A|$B|$C"')
    given = ("-e", "A=1=2", "--env", "B")
    job = cli.ok("enqueue", *given, "--", *show, B="b", C="c").strip()
    clean = cli.ok("enqueue", "--clean-env", *given, "--", *show, B="b", C="c").strip()
    cli.home.ended(job)
    cli.home.ended(clean)
    assert cli.ok("logs", job) == "1=2|b|c\n"
    assert cli.ok("logs", clean) == "1=2|b|\n"


def test_an_id_that_is_taken_is_an_error(cli: Cli) -> None:
    """Nothing is enqueued, also when it is the same job."""
    cli.ok("enqueue", "--id", "taken", *NEVER, "true")
    before = cli.home.ask("status")
    for command in ("true", "false"):
        message = cli.refused("enqueue", "--id", "taken", *NEVER, command)
        assert message == (
            "a job with the id 'taken' exists; choose another id, "
            "or pass --if-exists return to get that one"
        )
    assert cli.home.ask("status") == before


def test_if_exists_return_returns_the_same_job(cli: Cli) -> None:
    """A script can be run twice; another job of that id is a conflict."""
    once = ("enqueue", "--if-exists", "return", "--id", "once", "--max-retries", "1")
    assert cli(*once, "true") == Said(0, "once\n", "")
    cli.home.ended("once")
    assert cli(*once, "true") == Said(
        0, "once\n", "job once exists already: completed\n"
    )
    assert "its command is different" in cli.refused(*once, "false")


def test_json_prints_the_job(cli: Cli) -> None:
    """As list and show have it; the notes for people stay on stderr."""
    job = cli.json("enqueue", "--json", *NEVER, "true")
    assert cli.json("show", "--json", job["id"])["job"] == job
    assert job in cli.json("list", "--json", "--limit", "1")


@pytest.mark.parametrize(
    ("job", "code", "note"),
    [
        (("exit 0",), 0, None),
        (("exit 7",), 7, "dead (exit 7)"),
        (("kill -TERM $$",), 143, "dead (SIGTERM)"),
        (("--timeout", "0.2", "sleep 60"), 124, "dead (timeout)"),
        (
            ("--", "/no/such", "program"),
            127,
            "dead (spawn error: /no/such: no such file)",
        ),
    ],
)
def test_wait_ends_with_the_jobs_exit_code(
    cli: Cli, job: tuple[str, ...], code: int, note: str | None
) -> None:
    """The id comes first, and of a failure a word about it last."""
    said = cli("enqueue", "--wait", "--max-retries", "0", *job)
    number = int(said.out)
    assert said == Said(code, f"{number}\n", f"{number}: {note}\n" if note else "")


def test_wait_with_json_prints_the_job_as_it_ended(cli: Cli) -> None:
    """One document, whatever the exit code."""
    said = cli("enqueue", "--wait", "--json", "--max-retries", "0", "exit 3")
    job = json.loads(said.out)
    assert (said.code, said.err) == (3, "")
    assert (job["state"], job["exit_code"]) == ("dead", 3)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--id", "123", "true"), "id"),
        (("--id", "", "true"), "id"),
        (("",), "command"),
        (("--", "", "x"), "command"),
        (("--priority", "1000001", "true"), "priority"),
        (("--label", "x" * 257, "true"), "label"),
        (("--timeout", "367d", "true"), "timeout"),
        (("{",), "bad JSON:"),
        (('{"command": "x"} x',), "bad JSON:"),
        (('{"command": 1}',), "command"),
        (('{"id": "x"}',), "a job needs"),
        (('{"command": "x", "colour": "red"}',), "there is no field"),
        (('{"command": "x", "state": "dead"}',), "state"),
        (('{"command": "x", "timeout": "5m"}',), "timeout"),
        (('{"command": "x", "timeout": NaN}',), "bad JSON:"),
        (('{"command": "x", "cwd": "here"}',), "cwd"),
        (('{"command": "x", "env": {"A": 1}}',), "env"),
    ],
)
def test_a_bad_job_is_refused_by_the_name_of_what_is_wrong(
    cli: Cli, arguments: tuple[str, ...], named: str
) -> None:
    """Exit status 1, and nothing is enqueued."""
    before = cli.home.ask("status")
    assert cli.refused("enqueue", *arguments).startswith(f"{named} ")
    assert cli.home.ask("status") == before


def test_an_environment_the_kernel_does_not_take_is_a_failed_attempt(cli: Cli) -> None:
    """Its end is a spawn error that says why, and the worker is fine."""
    words = ["true", *["x" * 100_000] * 5]
    env = {f"BIG{n}": "x" * 120_000 for n in range(16)}
    job = {"command": words, "env": env, "max_retries": 0}
    number = cli.ok("enqueue", "--file", "-", stdin=json.dumps(job)).strip()
    said = cli("wait", number)
    assert (said.code, said.err) == (127, "")
    assert said.out.startswith(f"{number}: dead (spawn error: ")
    assert said.out.endswith("larger than the kernel takes)\n")
    shown = cli.ok("show", number)
    assert "larger than the kernel takes" in shown
    assert cli("logs", number) == Said(0, "", "")
    assert cli.ended("true")


def test_a_directory_that_is_gone_matters_only_where_it_is_needed(
    cli: Cli, tmp_path: Path
) -> None:
    """A job with another directory can be enqueued from nowhere."""
    script = 'mkdir x && cd x && rmdir ../x && exec queuectl enqueue "$@"'

    def from_nowhere(*arguments: str) -> Said:
        done = cli.home.run(
            "-c", script, "sh", *arguments, program="/bin/sh", cwd=tmp_path
        )
        return Said(done.returncode, done.stdout, done.stderr)

    for needs in (("true",), ("--cwd", "sub", "true")):
        said = from_nowhere(*needs)
        assert (said.code, said.out) == (1, "")
        assert "the current directory is gone" in said.err.lower()
    for has in (("--cwd", "/", "pwd"), ('{"command": "pwd", "cwd": "/"}',)):
        job = from_nowhere(*has)
        assert (job.code, job.err) == (0, "")
        cli.home.ended(job.out.strip())
        assert cli.ok("logs", job.out.strip()) == "/\n"
