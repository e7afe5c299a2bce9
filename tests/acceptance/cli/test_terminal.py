"""What is different on a terminal: colours, width, questions, progress, Ctrl-C."""

import signal
from pathlib import Path

import pytest

from helpers.cli import Cli, Said, shared

cli = shared(workers=1)

GREEN, RED, BOLD = "\x1b[32m", "\x1b[31m", "\x1b[1m"
FINAL = ("--max-retries", "0")


@pytest.fixture(scope="module")
def jobs(cli: Cli) -> tuple[str, str]:
    """A job that completed, with much to tell, and a dead one."""
    long = "true " + " ".join(f"argument-{n}" for n in range(30))
    done = cli.ended(long, "--label", "日本語のラベル " * 5, "--priority", "7")
    return done, cli.ended("echo 'colour \x1b[31mred'; exit 3", *FINAL)


def test_states_have_colours(cli: Cli, jobs: tuple[str, str]) -> None:
    """On a terminal, and headings are bold."""
    done, dead = jobs
    with cli.terminal("list") as terminal:
        assert terminal.end() == 0
        assert f"{GREEN}completed\x1b[0m" in terminal.shown
        assert f"{RED}dead\x1b[0m" in terminal.shown
        assert f"{BOLD}ID\x1b[0m" in terminal.shown
    with cli.terminal("show", dead) as terminal:
        assert terminal.end() == 0
        assert f"{BOLD}Job {dead}\x1b[0m  {RED}dead\x1b[0m\r\n" in terminal.shown
        assert f"{BOLD}Attempts\x1b[0m\r\n" in terminal.shown
    with cli.terminal("doctor") as terminal:
        terminal.end()
        assert terminal.shown.startswith(f"{GREEN}ok     \x1b[0m  python: ")
    assert "\x1b" not in cli.ok("list") + cli.ok("show", done) + cli("doctor").out


@pytest.mark.parametrize("variables", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colours_can_be_refused(
    cli: Cli, jobs: tuple[str, str], variables: dict[str, str]
) -> None:
    """By NO_COLOR, and by terminals that have none."""
    for command in (("list",), ("show", jobs[0]), ("doctor",)):
        with cli.terminal(*command, **variables) as terminal:
            terminal.end()
            assert "\x1b" not in terminal.shown


def columns(line: str) -> int:
    """Return how many columns a line takes: the wide characters here are all CJK."""
    return sum(2 if ord(c) > 0x2E80 else 1 for c in line)


@pytest.mark.parametrize(
    "command",
    [
        ("list", "--output"),
        ("dlq", "list"),
        ("worker", "list"),
        ("config", "list"),
    ],
)
def test_tables_fit_the_terminal(
    cli: Cli, jobs: tuple[str, str], command: tuple[str, ...]
) -> None:
    """Columns that matter less go, and long texts are cut."""
    assert jobs
    for width in (120, 80, 40, 20):
        with cli.terminal(*command, columns=width) as terminal:
            assert terminal.end() == 0
            assert max(map(columns, terminal.lines)) <= width


def test_a_pipe_is_as_wide_as_it_needs(cli: Cli, jobs: tuple[str, str]) -> None:
    """Nothing is cut where a program reads; COLUMNS is for terminals."""
    assert jobs
    assert "argument-29" in cli.ok("list")
    assert "argument-29" in cli.ok("list", COLUMNS="40")
    with cli.terminal("list", columns=80, COLUMNS="50") as terminal:
        terminal.end()
        assert max(map(columns, terminal.lines)) <= 50


def test_purge_asks_a_person(cli: Cli, jobs: tuple[str, str]) -> None:
    """No is the answer unless it is yes."""
    dead = [jobs[1], cli.ended("exit 1", *FINAL)]
    question = "2 dead jobs. Delete all of them, with their output, for good?"
    for answer in ("\r", "n\r"):
        with cli.terminal("dlq", "purge") as terminal:
            terminal.until(f"{question} [y/N]: ")
            terminal.type(answer)
            assert terminal.end() == 1
            assert terminal.lines[-1] == "queuectl: nothing was deleted"
    assert [cli.home.job(job)["state"] for job in dead] == ["dead", "dead"]
    with cli.terminal("dlq", "purge", "--older-than", "0") as terminal:
        terminal.until("[y/N]: ")
        terminal.type("y\r")
        assert terminal.end() == 0
        assert terminal.lines[-1] == "2 jobs deleted"
    for options in (("--yes",), ()):
        with cli.terminal("dlq", "purge", *options) as terminal:
            assert terminal.end() == 0
            assert terminal.lines == ["0 jobs deleted"]


def test_prune_asks_a_person(fresh: Cli) -> None:
    """What would go is said; the end of input is no yes; a program is not asked."""
    fresh.ok("worker", "start")
    job = fresh.ended("true")
    question = "1 completed job. Delete all of them, with their output, for good?"
    for answer in ("\r", "\x04"):
        with fresh.terminal("prune") as terminal:
            terminal.until(f"{question} [y/N]: ")
            terminal.type(answer)
            assert terminal.end() == 1
            assert terminal.lines[-1] == "queuectl: nothing was deleted"
    with fresh.terminal("prune", "--state", "dead") as terminal:
        assert terminal.end() == 0
        assert terminal.lines == ["0 jobs deleted"]
    assert fresh.home.job(job)["state"] == "completed"
    with fresh.terminal("prune", "--yes") as terminal:
        assert terminal.end() == 0
        assert terminal.lines == ["1 job deleted"]
    fresh.ended("true")
    assert fresh.ok("prune") == "1 job deleted\n"


def test_a_long_import_shows_how_far_it_is(cli: Cli, tmp_path: Path) -> None:
    """While the ids go to a file; and leaves the line as it found it."""
    jobs = tmp_path / "jobs"
    jobs.write_text("true\n" * 3000)
    options = ("--delay", "1d", "--lines", "--file", str(jobs))
    with (tmp_path / "ids").open("wb") as ids:
        with cli.terminal("enqueue", *options, stdout=ids) as terminal:
            assert terminal.end() == 0
        assert "[##########                    ]  33%  1,000 jobs  " in terminal.shown
        assert terminal.shown.endswith(" \r")
        assert "\x1b" not in terminal.shown
    assert (tmp_path / "ids").read_text().count("\n") == 3000
    jobs.write_text("true\n" * 3)
    with cli.terminal("enqueue", *options) as terminal:
        assert terminal.end() == 0
        assert len(terminal.lines) == 3


def test_jobs_can_be_typed(cli: Cli) -> None:
    """A person is told what is expected."""
    with cli.terminal("enqueue", "--delay", "1d", "--lines", "-f", "-") as terminal:
        terminal.until("write a job on each line; Ctrl-D ends\r\n")
        terminal.type("echo typed\r\x04")
        assert terminal.end() == 0
        job = terminal.lines[-1]
    assert cli.home.job(job)["command"] == "echo typed"


def test_ctrl_c_cancels_a_run(cli: Cli) -> None:
    """And ends it by the signal, so that a shell loop stops; the job is gone."""
    script = "trap 'echo bye; exit' TERM; echo ready; sleep 606 & wait"
    with cli.terminal("run", script) as terminal:
        terminal.until("ready\r\n")
        terminal.type("\x03")
        assert terminal.end() == -signal.SIGINT
        assert terminal.shown.endswith("bye\r\n")
    (job,) = cli.json("list", "--json", "-n", "1")
    assert job["state"] == "cancelled"
    assert not [seen for seen in cli.home.processes() if "sleep 606" in seen.command]


def test_a_run_that_waits_says_for_what(cli: Cli) -> None:
    """A person would wonder; a program is not bothered."""
    gate = cli.home.gate()
    cli.enqueue("echo >occupied; read _ <gate")
    cli.home.appears("occupied")
    with cli.terminal("run", "echo here") as terminal:
        terminal.until("; it is the next\r\n")
        gate.open()
        assert terminal.end() == 0
        assert terminal.lines[-1] == "here"
    assert cli("run", "echo here") == Said(0, "here\n", "")


def test_an_interruption_of_jobs_is_asked_about(fresh: Cli) -> None:
    """By whoever stops workers or the daemon at once; a program is not asked."""
    fresh.ok("worker", "start")
    gate = fresh.home.gate()
    job = fresh.enqueue("echo >runs; read _ <gate")
    fresh.home.appears("runs")
    question = "1 job running: interrupt, to be run again from the beginning? [y/N]: "
    for command in (("worker", "stop", "--now"), ("daemon", "stop", "--now")):
        with fresh.terminal(*command) as terminal:
            terminal.until(question)
            terminal.type("n\r")
            assert terminal.end() == 1
            assert terminal.lines[-1] == "queuectl: nothing was stopped"
    gate.open()
    assert fresh.home.ended(job)["runs"] == 1
    with fresh.terminal("worker", "stop", "--now") as terminal:
        assert terminal.end() == 0
        assert terminal.lines == ["1 worker stopped"]
