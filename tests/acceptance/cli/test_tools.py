"""``completion`` and ``rpc``: for shells, and for what no other command does."""

import json
import shutil
import subprocess

import pytest

from helpers.cli import Cli, Said, shared

cli = shared(workers=1)

needs_bash = pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash")

COMPLETE = """
eval "$(queuectl completion bash)"
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_queuectl_completion queuectl
printf '%s\\n' "${COMPREPLY[@]}"
"""
"""Completes the last argument, as bash does when Tab is pressed."""


def complete(cli: Cli, *words: str) -> list[str]:
    """Return what bash offers for the last word."""
    done = subprocess.run(
        ["bash", "-c", COMPLETE, "bash", "queuectl", *words],
        capture_output=True,
        text=True,
        env=cli.home.environ,
        check=False,
    )
    assert done.stderr == ""
    return sorted(set(done.stdout.split()))


@needs_bash
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("st",), ["start", "stats", "status"]),
        (("worker", ""), ["list", "scale", "start", "stop"]),
        (("daemon", "re"), ["restart"]),
        (("enqueue", "--max"), ["--max-retries"]),
        (("list", "--state", "c"), ["cancelled", "completed"]),
        (("logs", "7", "--stream", ""), ["stderr", "stdout"]),
        (("config", "get", "back"), ["backoff_base", "backoff_jitter", "backoff_max"]),
        (("config", "set", "max-"), ["max_queued", "max_retries"]),
        (("enqueue", "--rlimit", "n"), ["nofile=", "nproc="]),
        (("run", "--mem"), ["--memory-max"]),
        (("completion", ""), ["bash", "fish", "zsh"]),
    ],
)
def test_bash_completes_commands_options_and_values(
    cli: Cli, words: tuple[str, ...], offered: list[str]
) -> None:
    """What can be typed there, the daemon's settings included."""
    assert complete(cli, *words) == offered


@needs_bash
def test_bash_completes_the_ids_of_jobs(cli: Cli) -> None:
    """Wherever one is asked for."""
    for name in ("nightly-1", "nightly-2", "weekly"):
        cli.enqueue("true", "--id", name, "--delay", "1d")
    for command in (("show",), ("logs", "--follow"), ("cancel", "weekly"), ("wait",)):
        assert complete(cli, *command, "night") == ["nightly-1", "nightly-2"]
    assert complete(cli, "dlq", "show", "week") == []


@needs_bash
def test_completion_starts_no_daemon(fresh: Cli) -> None:
    """Nobody wants one for pressing Tab."""
    assert complete(fresh, "show", "") == []
    assert complete(fresh, "config", "get", "") == []
    assert not fresh.home.socket.exists()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_has_a_script(cli: Cli, shell: str) -> None:
    """One that the shell can read, where it is installed."""
    script = cli.ok("completion", shell)
    assert f"_QUEUECTL_COMPLETE={shell}_complete" in script
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, text=True, check=True)


def test_rpc_calls_any_method(cli: Cli) -> None:
    """And prints the result as JSON."""
    assert cli("rpc", "ping") == Said(0, "{}\n", "")
    methods = {each["name"] for each in cli.json("rpc", "describe")["methods"]}
    assert {"enqueue", "logs.follow", "workers.ensure"} < methods
    reply = cli.json("rpc", "enqueue", '{"job": {"command": "true"}}')
    assert {"job", "created", "workers"} <= set(reply)
    found = cli.json("rpc", "get", json.dumps({"id": reply["job"]["id"]}))
    assert found["job"]["command"] == "true"


def test_rpc_prints_events_a_line_each(cli: Cli) -> None:
    """Then the final reply."""
    job = cli.ended("echo out; echo err >&2")
    said = cli("rpc", "logs.follow", json.dumps({"id": job}))
    assert (said.code, said.err) == (0, "")
    *events, result = documents(said.out)
    assert [event["type"] for event in events] == ["attempt", "data", "data"]
    data = {event["stream"]: event["data"] for event in events[1:]}
    assert data == {"stdout": "out\n", "stderr": "err\n"}
    assert result["job"]["id"] == job


def documents(text: str) -> list[dict[str, object]]:
    """Return the JSON documents in a text."""
    found, position = [], 0
    while position < len(text):
        document, end = json.JSONDecoder().raw_decode(text, position)
        found.append(document)
        position = end + 1
    return found


@pytest.mark.parametrize(
    ("arguments", "code", "data"),
    [
        (("nope",), "unknown_method", {}),
        (("get", '{"id": "nope"}'), "not_found", {"id": "nope"}),
        (("get",), "invalid_params", {"param": "id"}),
        (("config.get", '{"key": "nope"}'), "invalid_params", {"key": "nope"}),
        (("logs.follow", '{"id": "nope"}'), "not_found", {"id": "nope"}),
    ],
)
def test_rpc_prints_an_error_as_it_is(
    cli: Cli, arguments: tuple[str, ...], code: str, data: dict[str, str]
) -> None:
    """Exit status 1."""
    said = cli("rpc", *arguments)
    assert (said.code, said.err) == (1, "")
    error = json.loads(said.out)["error"]
    assert set(error) == {"code", "message", "data", "retryable"}
    assert error["code"] == code
    assert error["retryable"] is False
    assert data.items() <= error["data"].items()
