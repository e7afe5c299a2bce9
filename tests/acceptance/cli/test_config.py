"""``config``: settings of jobs, typed and checked, and what they touch."""

import json

import pytest

from helpers.cli import Cli, Said, shared

cli = shared(workers=0)

DEFAULTS = {
    "max_retries": 3,
    "timeout": 300,
    "backoff_base": 2,
    "backoff_max": 3600,
    "backoff_jitter": 0.1,
    "output_limit": 1024**3,
    "shell": "/bin/sh",
    "nice": 0,
    "memory_max": 0,
    "cpu_quota": 0,
    "tasks_max": 0,
    "kill_grace": 5,
    "retention": 30 * 86_400,
    "max_queued": 10_000_000,
}
NEW_JOBS = (
    "This touches jobs enqueued from now on; jobs already queued keep their value.\n"
)
ALL_JOBS = "This touches at once, to all jobs.\n"


def test_get_prints_the_bare_value(cli: Cli) -> None:
    """A number for scripts: seconds, bytes; hyphens and underscores are the same."""
    for key, value in DEFAULTS.items():
        assert cli.ok("config", "get", key) == f"{value}\n"
    assert cli.ok("config", "get", "backoff-jitter") == "0.1\n"


def test_show_has_all_values(cli: Cli) -> None:
    """For people with their units; `get` without a key is the same."""
    shown = cli.ok("config", "show")
    assert [line.split(maxsplit=1) for line in shown.splitlines()] == [
        ["max_retries", "3"],
        ["timeout", "5m"],
        ["backoff_base", "2"],
        ["backoff_max", "1h"],
        ["backoff_jitter", "0.1"],
        ["output_limit", "1.0 GiB"],
        ["shell", "/bin/sh"],
        ["nice", "0"],
        ["memory_max", "0 B"],
        ["cpu_quota", "0"],
        ["tasks_max", "0"],
        ["kill_grace", "5s"],
        ["retention", "30d"],
        ["max_queued", "10000000"],
    ]
    assert cli.ok("config", "get") == shown
    assert cli.json("config", "show", "--json") == DEFAULTS
    assert cli.json("config", "get", "--json") == DEFAULTS


def test_list_explains_them(cli: Cli) -> None:
    """With default, range, what they touch and mean."""
    listed = cli.json("config", "list", "--json")
    assert {each["key"]: each["default"] for each in listed} == DEFAULTS
    assert cli.json("config", "get", "timeout", "--json") == listed[1]
    lines = cli.ok("config", "list").splitlines()
    assert lines[0].split() == [
        "KEY", "VALUE", "DEFAULT", "RANGE", "TOUCHES", "MEANING",
    ]  # fmt: skip
    assert lines[2].startswith("timeout ")
    assert "0s to 366d" in lines[2]


@pytest.mark.parametrize(
    ("key", "written", "value", "readable", "touches"),
    [
        ("max-retries", "5", 5, "5", NEW_JOBS),
        ("max_retries", "0", 0, "0", NEW_JOBS),
        ("timeout", "90", 90, "1m30s", NEW_JOBS),
        ("timeout", "2h", 7200, "2h", NEW_JOBS),
        ("backoff-base", "1.5", 1.5, "1.5", NEW_JOBS),
        ("output-limit", "64k", 65536, "64.0 KiB", NEW_JOBS),
        ("nice", "5", 5, "5", NEW_JOBS),
        ("kill-grace", "250ms", 0.25, "0.25s", ALL_JOBS),
        ("retention", "7d", 7 * 86_400, "7d", ALL_JOBS),
        ("max-queued", "100", 100, "100", ALL_JOBS),
    ],
)
def test_set_says_what_it_touches(
    cli: Cli, key: str, written: str, value: float, readable: str, touches: str
) -> None:
    """`unset` puts it back."""
    name = key.replace("-", "_")
    said = cli("config", "set", key, written)
    assert said == Said(0, f"{name} = {readable}\n{touches}", "")
    assert cli.ok("config", "get", key) == f"{value}\n"
    unset = cli.json("config", "unset", key, "--json")
    assert (unset["value"], unset["is_default"]) == (DEFAULTS[name], True)


def test_set_prints_json(cli: Cli) -> None:
    """The setting as it is now."""
    setting = cli.json("config", "set", "--json", "timeout", "1m")
    assert (setting["key"], setting["value"], setting["is_default"]) == (
        "timeout",
        60,
        False,
    )
    assert cli("config", "unset", "timeout") == Said(0, f"timeout = 5m\n{NEW_JOBS}", "")


def test_a_new_job_has_the_settings_and_a_queued_one_keeps_its_own(cli: Cli) -> None:
    """They are copied when a job is enqueued."""
    before = cli.home.ask("enqueue", job={"command": "true"})["job"]
    cli.ok("config", "set", "max-retries", "7")
    after = cli.home.ask("enqueue", job={"command": "true"})["job"]
    cli.ok("config", "unset", "max-retries")
    assert cli.home.job(before["id"])["max_retries"] == 3
    assert after["max_retries"] == 7


def test_a_full_queue_refuses_jobs(cli: Cli) -> None:
    """max_queued applies at once."""
    waiting = cli.home.ask("status")["pending"]
    cli.ok("config", "set", "max-queued", str(waiting + 1))
    assert cli("enqueue", "--id", "last", "true").code == 0
    assert "max_queued" in cli.refused("enqueue", "true")
    said = cli("enqueue", "--file", "-", stdin=json.dumps({"command": "true"}))
    assert (said.code, said.out) == (1, "")
    cli.ok("config", "unset", "max-queued")
    assert cli("enqueue", "true").code == 0


def test_settings_survive_a_restart(cli: Cli) -> None:
    """They are kept with the queue."""
    cli.ok("config", "set", "timeout", "1d")
    cli.ok("daemon", "restart")
    assert cli.ok("config", "get", "timeout") == "86400\n"
    cli.ok("config", "unset", "timeout")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("get", "nope"), "there is no setting 'nope'"),
        (("set", "nope", "1"), "there is no setting 'nope'"),
        (("unset", "nope"), "there is no setting 'nope'"),
        (("set", "max-retries", "many"), "max_retries is"),
        (("set", "max-retries", "-1"), "max_retries must be"),
        (("set", "timeout", "soon"), "timeout is"),
        (("set", "output-limit", "2000T"), "output_limit must be"),
        (("set", "nice", "-21"), "nice must be"),
        (("set", "cpu-quota", "0.01%"), "cpu_quota must be"),
        (("set", "socket", "/x"), "there is no setting 'socket'"),
    ],
)
def test_a_bad_key_or_value_is_a_usage_error(
    cli: Cli, arguments: tuple[str, ...], message: str
) -> None:
    """Exit status 2, and nothing is changed."""
    assert cli.misuse("config", *arguments).startswith(message)
