"""Standard streams that are closed, full or read by nobody: for every command."""

import json
import signal
import subprocess
from pathlib import Path

import click
import pytest

from helpers.cli import Cli, shared
from helpers.commands import walk
from helpers.home import BIN

cli = shared(workers=1)

STREAMS = {
    "closed stdin": "<&-",
    "closed stdout": ">&-",
    "closed stderr": "2>&-",
    "all closed": "<&- >&- 2>&-",
    "full stdout": ">/dev/full",
    "full stderr": "2>/dev/full",
}

ARGUMENTS = {
    "backup": ["{new}"],
    "cancel": ["{waiting}"],
    "completion": ["bash"],
    "config get": ["timeout"],
    "config set": ["timeout", "300"],
    "config unset": ["timeout"],
    "delete": ["{done}x"],
    "dlq purge": ["--older-than", "100d"],
    "dlq retry": ["--all"],
    "dlq show": ["{done}"],
    "enqueue": ["true"],
    "logs": ["{done}"],
    "prune": ["--older-than", "100d"],
    "retry": ["{done}"],
    "rpc": ["ping"],
    "run": ["echo ran"],
    "show": ["{done}"],
    "start": ["{waiting}"],
    "systemd install": ["--user", "--dry-run"],
    "systemd uninstall": ["--user", "--dry-run"],
    "wait": ["{done}"],
}
"""With what each command has something to do; the others need nothing."""

UNDER_TEST_ELSEWHERE = {
    "daemon restart": "it would end the daemon of all",
    "daemon stop": "it would end the daemon of all",
    "worker scale": "it would end the worker of all",
    "worker start": "each call would leave one more",
    "worker stop": "it would end the worker of all",
}
"""See ``test_what_was_done_is_said_on_stderr``."""


ALL = [words for words, each in walk() if not isinstance(each, click.Group)]
COMMANDS = [name for name in ALL if name not in UNDER_TEST_ELSEWHERE]


def _shell(cli: Cli, script: str, *arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        ["bash", "-c", script, "bash", str(BIN / "queuectl"), *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env=cli.home.environ,
        cwd=cli.home.work,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def done(cli: Cli) -> str:
    """A job that completed."""
    return cli.ended("echo said")


def _arguments(cli: Cli, name: str, done: str, tmp_path: Path) -> list[str]:
    """Return a command line for which the command has something to do."""
    given = [*name.split(), *ARGUMENTS.get(name, [])]
    places = {"{done}": done, "{done}x": f"{done}x", "{new}": str(tmp_path / "copy.db")}
    if "{waiting}" in given:
        places["{waiting}"] = cli.enqueue("true", "--delay", "1d")
    return [places.get(word, word) for word in given]


def test_every_command_has_something_to_do() -> None:
    """The tables of this file name commands that exist."""
    assert set(ARGUMENTS) | set(UNDER_TEST_ELSEWHERE) <= set(ALL)


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("streams", STREAMS)
def test_no_state_of_the_streams_is_a_fault(
    cli: Cli, done: str, tmp_path: Path, name: str, streams: str
) -> None:
    """Every command ends with a status of the table, and nothing is a fault of ours."""
    arguments = _arguments(cli, name, done, tmp_path)
    code, out, err = _shell(cli, f'exec "$@" {STREAMS[streams]}', *arguments)
    assert "Traceback" not in out + err
    assert "internal error" not in out + err
    assert "Exception ignored" not in out + err
    assert code in {0, 1, 3 if name == "health" else 1, 4}
    if streams in {"closed stdin", "closed stderr", "full stderr"}:
        assert code != 4


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_that_nobody_reads_is_no_fault(cli: Cli, name: str) -> None:
    """It ends by SIGPIPE, as any program in a pipe does, or says what is the matter."""
    script = 'exec "$@" --help {}'
    code, out, err = _shell(cli, script.format(">/dev/full"), *name.split())
    assert (code, out) == (1, "")
    assert err == "queuectl: cannot write: No space left on device\n"
    assert _into_closed_pipe(cli, *name.split(), "--help") == (-signal.SIGPIPE, "")


def _into_closed_pipe(cli: Cli, *arguments: str) -> tuple[int, str]:
    with subprocess.Popen(["true"], stdin=subprocess.PIPE) as nobody:
        nobody.wait()
        done = subprocess.run(
            [BIN / "queuectl", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=nobody.stdin,
            stderr=subprocess.PIPE,
            text=True,
            env=cli.home.environ,
            cwd=cli.home.work,
            timeout=60,
            check=False,
        )
    return done.returncode, done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_a_pipe_that_nobody_reads_is_no_fault(
    cli: Cli, done: str, tmp_path: Path, name: str
) -> None:
    """Who only looked ends by SIGPIPE without a word; who did something says it."""
    arguments = _arguments(cli, name, done, tmp_path)
    code, err = _into_closed_pipe(cli, *arguments)
    assert "Traceback" not in err
    assert code in {-signal.SIGPIPE, 0, 1, 4}
    if code == -signal.SIGPIPE:
        assert "queuectl: " not in err


UNSAID = "queuectl: this was done, and cannot be written to stdout "
FULL = f"{UNSAID}(No space left on device):\n"
CLOSED = f"{UNSAID}(Bad file descriptor):\n"


@pytest.mark.parametrize(("stdout", "said"), [(">/dev/full", FULL), (">&-", CLOSED)])
def test_an_id_that_cannot_be_printed_is_told(cli: Cli, stdout: str, said: str) -> None:
    """The job is stored, so no caller may enqueue it again: status 4, and its id."""
    script = f'exec "$@" {stdout}'
    code, _, err = _shell(cli, script, "enqueue", "echo once")
    assert (code, err[: len(said)]) == (4, said)
    job = err[len(said) :].strip()
    assert cli.home.ended(job)["command"] == "echo once"
    code, _, err = _shell(cli, script, "enqueue", "--json", "echo json")
    assert (code, err[: len(said)]) == (4, said)
    assert json.loads(err[len(said) :])["command"] == "echo json"


def test_a_closed_pipe_loses_no_id(cli: Cli) -> None:
    """Nor does a file of jobs whose ids nobody reads."""
    code, err = _into_closed_pipe(cli, "enqueue", "echo once")
    assert code == 4
    assert err.startswith(f"{UNSAID}(Broken pipe):\n")
    assert cli.home.ended(err.split()[-1])["command"] == "echo once"


def test_every_job_of_several_is_changed(cli: Cli) -> None:
    """That nobody can be told stops no change; a failure keeps its status."""
    jobs = [cli.enqueue("true", "--delay", "1d") for _ in range(3)]
    script = 'exec "$@" >/dev/full'
    code, _, err = _shell(cli, script, "cancel", jobs[0], "no-such", *jobs[1:])
    assert code == 1
    assert "'no-such'" in err
    assert err.endswith(FULL + "".join(f"  {job}: cancelled\n" for job in jobs))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("worker", "start"), "1 worker ready: "),
        (("worker", "stop"), "2 workers stopped"),
        (("daemon", "restart"), "queuectld is running, pid "),
        (("daemon", "stop"), "queuectld has stopped"),
    ],
)
def test_what_was_done_is_said_on_stderr(
    own: Cli, arguments: tuple[str, ...], told: str
) -> None:
    """Of workers and the daemon, too; and no stream of theirs was ever ours."""
    code, _, err = _shell(own, 'exec "$@" <&- >&-', *arguments)
    assert (code, err[: len(CLOSED) + 2]) == (4, f"{CLOSED}  ")
    assert told in err


own = shared(workers=1)


def test_a_daemon_started_without_streams_works(fresh: Cli) -> None:
    """By a client that has none; its files and sockets are not taken for streams."""
    code, out, err = _shell(fresh, 'exec "$@" <&- >&- 2>&-', "run", "echo ran")
    assert (code, out, err) == (1, "", "")
    assert fresh.home.ended("1")["command"] == "echo ran"
    for fd in range(3):
        target = Path(f"/proc/{fresh.home.daemon}/fd/{fd}").readlink()
        assert target == Path("/dev/null")


def test_notes_that_cannot_be_written_stop_nothing(fresh: Cli) -> None:
    """The data is on stdout, and the status is that of the work."""
    for stderr in ("2>/dev/full", "2>&-"):
        code, out, _ = _shell(fresh, f'exec "$@" {stderr}', "enqueue", "true")
        assert code == 0
        assert fresh.home.job(out.strip())["state"] == "pending"


def test_input_that_is_closed_is_no_empty_file(cli: Cli) -> None:
    """Nothing is enqueued, and that is a failure."""
    code, out, err = _shell(cli, 'exec "$@" <&-', "enqueue", "--file", "-")
    assert (code, out) == (1, "")
    assert "Bad file descriptor" in err
