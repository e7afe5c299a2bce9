"""``wait`` and ``run``: a job's exit code becomes the command's."""

import json
import signal
import subprocess
import time

import pytest

from helpers import waiting
from helpers.cli import Cli, Said, shared
from helpers.home import BIN
from helpers.rawclient import PATIENCE, RawClient

cli = shared(workers=2)

FINAL = ("--max-retries", "0")


NO_SHELL = "/no/such: no such file"


@pytest.fixture(scope="module")
def ends(cli: Cli) -> dict[str, str]:
    """A job for each way to end, by the words for it."""
    jobs = {
        "completed": cli.enqueue("true"),
        "dead (exit 7)": cli.enqueue("exit 7", *FINAL),
        "dead (SIGUSR1)": cli.enqueue("kill -USR1 $$", *FINAL),
        "dead (timeout)": cli.enqueue("sleep 60", "--timeout", "0.2", *FINAL),
        "dead (spawn error)": cli(
            "enqueue", "true", "--shell", "/no/such", *FINAL
        ).out.strip(),
        "cancelled": cli.enqueue("true", "--delay", "1d"),
    }
    cli.ok("cancel", jobs["cancelled"])
    return jobs


@pytest.mark.parametrize(
    ("job", "code"),
    [
        ("completed", 0),
        ("dead (exit 7)", 7),
        ("dead (SIGUSR1)", 128 + signal.SIGUSR1),
        ("dead (timeout)", 124),
        ("dead (spawn error)", 127),
        ("cancelled", 130),
    ],
)
def test_wait_ends_with_the_jobs_own_code(
    cli: Cli, ends: dict[str, str], job: str, code: int
) -> None:
    """Or one that says why it has none, as shells do."""
    end = job.replace("spawn error", f"spawn error: {NO_SHELL}")
    assert cli("wait", ends[job]) == Said(code, f"{ends[job]}: {end}\n", "")


def test_the_first_failure_in_the_order_given_counts(
    cli: Cli, ends: dict[str, str]
) -> None:
    """All are waited for, whichever ends first."""
    good, seven, usr1 = list(ends.values())[:3]
    late = cli.enqueue("sleep 0.3; exit 5", *FINAL)
    assert cli("wait", good, late, seven) == Said(
        5, f"{good}: completed\n{late}: dead (exit 5)\n{seven}: dead (exit 7)\n", ""
    )
    assert cli("wait", usr1, seven).code == 128 + signal.SIGUSR1
    assert cli("wait", seven, usr1).code == 7
    assert cli("wait", good, good).code == 0


def test_wait_with_json_prints_the_jobs(cli: Cli, ends: dict[str, str]) -> None:
    """In the order given, as one array."""
    jobs = [ends["cancelled"], ends["completed"]]
    said = cli("wait", "--json", *jobs)
    assert (said.code, said.err) == (130, "")
    assert json.loads(said.out) == [cli.home.job(job) for job in jobs]


def test_a_timeout_ends_the_waiting_and_not_the_job(
    cli: Cli, ends: dict[str, str]
) -> None:
    """With 124, and the state it was left in; one that ended in time counts itself."""
    job = cli.enqueue("true", "--delay", "1d")
    begun = time.monotonic()
    said = cli("wait", ends["completed"], job, "--timeout", "0.3")
    assert time.monotonic() - begun >= 0.3
    assert said == Said(124, f"{ends['completed']}: completed\n{job}: pending\n", "")
    assert cli("wait", "--timeout", "0", job).code == 124
    assert cli("wait", "--timeout", "1h", ends["completed"]).code == 0


def test_wait_covers_retries(cli: Cli) -> None:
    """A job that waits for its next attempt has not ended."""
    job = {"command": "exit $((QUEUECTL_ATTEMPT < 3))", "backoff_max": 0.2}
    number = cli.ok("enqueue", json.dumps(job)).strip()
    assert cli("wait", number) == Said(0, f"{number}: completed\n", "")
    assert cli.home.job(number)["runs"] == 3


def test_an_unknown_job_is_told_before_any_waiting(cli: Cli) -> None:
    """Of several ids none is waited for when one is wrong."""
    job = cli.enqueue("true", "--delay", "1d")
    assert "'nope'" in cli.refused("wait", job, "nope")


def test_ctrl_c_ends_the_waiting_alone(cli: Cli) -> None:
    """By the signal, so that a shell loop stops too; the job goes on."""
    gate = cli.home.gate("wait")
    job = cli.enqueue("echo >waited; read _ <wait")
    cli.home.appears("waited")
    with cli.home.connect() as client:
        waiting.until(lambda: connections(client) == 1, "earlier clients are gone")
        waits = cli.home.begin("wait", job)
        waiting.until(lambda: connections(client) == 2, "it waits")
    waits.send_signal(signal.SIGINT)
    assert waits.wait(PATIENCE) == -signal.SIGINT
    gate.open()
    assert cli.home.ended(job)["state"] == "completed"


def connections(client: RawClient) -> int:
    """Return how many clients the daemon has."""
    found: int = client.call("daemon.status")["connections"]
    return found


@pytest.mark.parametrize(
    ("arguments", "code", "note"),
    [
        (("exit 0",), 0, ""),
        (("exit 7",), 7, ""),
        (("--", "sh", "-c", "exit 9"), 9, ""),
        (("-c", "{ exit 3; }"), 3, ""),
        (("kill -USR1 $$",), 128 + signal.SIGUSR1, ""),
        (
            ("--timeout", "0.2", "exec sleep 60"),
            124,
            "queuectl: ran longer than 0.2s; ended with SIGTERM\n",
        ),
        (("--", "/no/such", "x"), 127, "queuectl: /no/such: no such file\n"),
    ],
)
def test_run_ends_with_the_jobs_own_code(
    cli: Cli, arguments: tuple[str, ...], code: int, note: str
) -> None:
    """And says what the job's own output cannot."""
    assert cli("run", *arguments) == Said(code, "", note)


def test_run_is_like_running_it_here(cli: Cli) -> None:
    """Output on its streams, this directory, this environment, an empty stdin."""
    said = cli("run", 'pwd; echo "$HERE" >&2; cat', HERE="1")
    assert said == Said(0, f"{cli.home.work}\n", "1\n")
    quoted = cli("run", "--", "printf", "%s|", "a b", "$HOME")
    assert quoted == Said(0, "a b|$HOME|", "")


def test_run_takes_what_describes_a_job(cli: Cli) -> None:
    """It has no retries, whatever the settings say."""
    options = ("-p", "5", "--label", "x", "--cwd", "/", "-e", "A=1", "--clean-env")
    assert cli("run", *options, "pwd; echo $A; exit 1") == Said(1, "/\n1\n", "")
    (job,) = cli.json("list", "--json", "-n", "1")
    fields = ("priority", "label", "max_retries", "state", "runs")
    assert [job[field] for field in fields] == [5, "x", 0, "dead", 1]
    assert cli("run", '{"command": "echo json"}') == Said(0, "json\n", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_cancels_the_job(cli: Cli, number: signal.Signals) -> None:
    """Its last words are heard, nothing of it is left, and the status is 130."""
    name = f"run-{number.name}"
    script = f"trap 'echo bye; exit' TERM; echo >{name}; sleep 602 & wait"
    child = cli.home.begin("run", script)
    cli.home.appears(name)
    child.send_signal(number)
    assert child.communicate(timeout=PATIENCE)[0] == "bye\n"
    assert child.returncode == 130
    assert not [seen for seen in cli.home.processes() if "sleep 602" in seen.command]
    (job,) = cli.json("list", "--json", "-n", "1")
    assert job["state"] == "cancelled"


def test_a_second_signal_leaves_the_end_to_the_daemon(cli: Cli) -> None:
    """Who presses Ctrl-C again will not wait; the job is cancelled all the same."""
    cli.ok("config", "set", "kill_grace", "0.3")
    child = cli.home.begin("run", "trap '' TERM; echo >stubborn; sleep 603")
    cli.home.appears("stubborn")
    (job,) = cli.json("list", "--json", "-n", "1")
    child.send_signal(signal.SIGINT)
    waiting.until(lambda: cli.home.job(job["id"])["cancel_requested"], "it is told")
    child.send_signal(signal.SIGINT)
    assert child.wait(PATIENCE) == -signal.SIGINT
    assert cli.home.ended(job["id"])["state"] == "cancelled"


def test_a_run_that_nobody_reads_is_cancelled(cli: Cli) -> None:
    """As a program in a pipe ends when its reader does."""
    gate = cli.home.gate("unread")
    with subprocess.Popen(
        [BIN / "queuectl", "run", "echo 1; read _ <unread; echo 2; sleep 604"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=cli.home.work,
        env=cli.home.environ,
        text=True,
    ) as child:
        assert child.stdout
        assert child.stderr
        assert child.stdout.readline() == "1\n"
        child.stdout.close()
        gate.open()
        assert child.wait(PATIENCE) == -signal.SIGPIPE
        assert child.stderr.read() == ""
    (job,) = cli.json("list", "--json", "-n", "1")
    assert cli.home.ended(job["id"])["state"] == "cancelled"


def test_a_single_word_after_dashes_is_a_program(cli: Cli) -> None:
    """Its spaces are its own; a line that was meant for the shell is told apart."""
    program = cli.home.work / "my prog"
    program.write_text("#!/bin/sh\necho my own\n")
    program.chmod(0o755)
    assert cli.ok("run", "--", "./my prog") == "my own\n"
    said = cli("run", "--", "echo hello")
    assert said.code == 127
    assert said.err.endswith("without -- this is a shell line\n")
    assert cli.ok("run", "echo hello") == "hello\n"


def test_ctrl_c_tells_what_becomes_of_the_job(cli: Cli) -> None:
    """It goes on, and how to end it is said; a cancelled one ends all the same."""
    gate = cli.home.gate("later")
    with cli.terminal("enqueue", "--wait", "read _ <later") as terminal:
        job = terminal.until("\r\n").strip()
        cli.home.until_state(job, "processing")
        terminal.type("\x03")
        assert terminal.end() == -signal.SIGINT
        goes_on = f"interrupted: job {job} goes on; to end it: queuectl cancel {job}"
        assert terminal.lines[-1].endswith(goes_on)
    with cli.terminal("wait", job) as terminal:
        waiting.until(
            lambda: cli.home.ask("daemon.status")["connections"] == 2, "it waits"
        )
        terminal.type("\x03")
        assert terminal.end() == -signal.SIGINT
    gate.open()
    assert cli.home.ended(job)["state"] == "completed"
