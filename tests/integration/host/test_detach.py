"""Going into the background: what the caller hears, and what the daemon is left."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

PROGRAM = """
import os, sys
from queuectld.host import detach
from queuectld.host.detach import ServeOutcome

def serve(ready):
{body}

outcome = detach.run(serve, died="it died")
print(outcome.status, outcome.message)
"""


def run(
    body: str, *arguments: str, redirect: str = "", pass_fds: tuple[int, ...] = ()
) -> str:
    """Detach a program that serves like ``body``; return what its caller prints.

    The caller's output is read to its end: a daemon that kept it would hang the test.
    """
    program = PROGRAM.format(body=textwrap.indent(textwrap.dedent(body), "    "))
    command = [sys.executable, "-c", program, *arguments]
    if redirect:
        command = ["sh", "-c", f'exec "$@" {redirect}', "sh", *command]
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        pass_fds=pass_fds,
        timeout=30,
        check=True,
    )
    return done.stdout.decode().strip()


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """A named pipe for the daemon to write to: it waits there for the test to read."""
    path = tmp_path / "report"
    os.mkfifo(path)
    return path


def test_the_caller_returns_when_the_daemon_is_ready(report: Path) -> None:
    """Status 0, no message, and the daemon goes on."""
    body = """
        ready()
        with open(sys.argv[1], "w") as report:
            report.write("still here")
        return ServeOutcome(0)
    """
    assert run(body, str(report)) == "0"
    assert report.read_text() == "still here"


def test_a_failed_start_is_told_with_its_message_and_status() -> None:
    """The caller gets the message of the daemon unchanged, with its line ends."""
    assert run('return ServeOutcome(4, "taken\\nby another")') == "4 taken\nby another"


def test_a_failure_after_the_start_is_no_longer_the_callers() -> None:
    """A caller that was told that it is ready gets no other message."""
    assert run('ready(); return ServeOutcome(1, "later")') == "0"


@pytest.mark.parametrize(
    "body",
    ["os._exit(3)", "os.kill(os.getpid(), 9)", "1 / 0", "return ServeOutcome(0)"],
    ids=["exit", "kill -9", "exception", "end before ready"],
)
def test_a_death_without_a_word_is_told_too(body: str) -> None:
    """The caller never waits for a daemon that is gone."""
    assert run(body) == "1 it died"


def test_the_daemon_leaves_the_session_of_its_caller(report: Path) -> None:
    """It is in a new session and does not lead it, so it can get no terminal."""
    body = """
        ready()
        with open(sys.argv[1], "w") as report:
            print(os.getpid(), os.getsid(0), file=report)
        return ServeOutcome(0)
    """
    assert run(body, str(report)) == "0"
    pid, session = map(int, report.read_text().split())
    assert pid != session
    assert session != os.getsid(0)


def test_the_daemon_keeps_none_of_the_callers_descriptors(
    report: Path, tmp_path: Path
) -> None:
    """A lock that the caller held on a descriptor is not held for the daemon's life."""
    body = """
        ready()
        with open(sys.argv[1], "w") as report:
            for name in sorted(os.listdir("/proc/self/fd"), key=int):
                try:
                    print(name, os.readlink("/proc/self/fd/" + name), file=report)
                except FileNotFoundError:
                    pass  # of the listing itself
        return ServeOutcome(0)
    """
    with (tmp_path / "lock").open("w") as lock:
        fd = lock.fileno()
        assert run(body, str(report), pass_fds=(fd,)) == "0"
    kept = report.read_text().splitlines()
    assert kept == [
        "0 /dev/null",
        "1 /dev/null",
        "2 /dev/null",
        f"3 {report}",
    ]


def test_a_caller_without_stdin_and_stderr_is_served_as_well(report: Path) -> None:
    """The pipe may get the number of a closed standard descriptor."""
    body = """
        ready()
        with open(sys.argv[1], "w") as report:
            report.write(os.readlink("/proc/self/fd/0"))
        return ServeOutcome(0)
    """
    assert run(body, str(report), redirect="0<&- 2>&-") == "0"
    assert report.read_text() == "/dev/null"
