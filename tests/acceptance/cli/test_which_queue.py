"""Which queue a command talks to, from wherever it is typed, and what is advised."""

import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from helpers.commands import walk
from helpers.home import BIN, Home
from helpers.person import a_person, home_of
from queuectl.cli import policy
from queuectl.cli.command_classes import Command

LOOKS = [
    words
    for words, command in walk()
    if isinstance(command, Command) and command.rule is policy.LOOKS
]

ARGUMENTS = {
    "show": ["1"],
    "logs": ["1"],
    "wait": ["1"],
    "dlq show": ["1"],
    "config get": ["timeout"],
    "rpc": ["ping"],
    "backup": ["copy.db"],
}

WITHOUT = {"daemon logs", "doctor", "completion", "systemd install"}
WITHOUT |= {"systemd uninstall", "systemd end-jobs"}
"""Commands that need no daemon: they look at files, or tell that none runs."""


@pytest.fixture
def person() -> Iterator[Home]:
    """Return the queue of somebody who has set no variable of ours."""
    with a_person() as home:
        yield home


def queue(home: Home, *options: str, **variables: str) -> Any:
    """Return which queue a command finds."""
    return json.loads(home.ctl(*options, "status", "--json", **variables))["queue"]


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"XDG_RUNTIME_DIR": "/nonexistent"},
        {"XDG_RUNTIME_DIR": "{home}"},
        {"XDG_RUNTIME_DIR": "relative"},
        {"LOGNAME": "root", "SHELL": "/bin/sh"},
    ],
    ids=["cron", "logged out", "another session", "nonsense", "su"],
)
def test_every_session_finds_the_same_queue(
    person: Home, variables: dict[str, str]
) -> None:
    """A daemon of a login that is over serves cron, at, su and the next login."""
    home = home_of(person)
    runtime = home / "runtime"
    runtime.mkdir()
    person.ctl("enqueue", "true", XDG_RUNTIME_DIR=str(runtime))
    daemon = person.daemon
    runtime.rmdir()
    there = {name: value.format(home=home) for name, value in variables.items()}
    found = queue(person, **there)
    assert found["kind"] == "user"
    assert found["socket"] == str(person.root / "queuectl.sock")
    assert person.ask("daemon.status")["pid"] == daemon
    # And nothing of a command's environment is needed but HOME.
    bare = subprocess.run(
        [BIN / "queuectl", "list", "--json"],
        env={"HOME": str(home), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert len(json.loads(bare.stdout)) == 1


@pytest.mark.parametrize("umask", [0, 0o077])
def test_what_a_first_command_makes_is_closed_to_others(umask: int) -> None:
    """Also the directories above the state, whatever the umask."""
    with a_person() as person:
        home = home_of(person)
        person.work.rename(home / "work")
        person.work = home / "work"
        (home / ".local/state/queuectl").rmdir()
        (home / ".local/state").rmdir()
        (home / ".local").rmdir()
        assert person.run("enqueue", "true", umask=umask).returncode == 0
        for path in (person.root, *person.root.parents):
            if path == home:
                break
            assert path.stat().st_mode & 0o777 == 0o700, path


@pytest.mark.parametrize("words", sorted({*LOOKS, "worker stop", "rpc"} - WITHOUT))
def test_what_only_looks_starts_no_daemon(person: Home, words: str) -> None:
    """It says that none runs and how to start one, ends with 3 and leaves nothing."""
    done = person.run(*words.split(), *ARGUMENTS.get(words, []))
    assert done.returncode == 3, done.stderr
    told, data = done.stderr, done.stdout
    if words == "health":  # what it says is for a monitor, which reads stdout
        told, data = data, told
    assert data == ""
    assert "start one: queuectl daemon start" in told
    assert list(person.root.iterdir()) == [person.work]
    assert list(person.work.iterdir()) == []


@pytest.mark.parametrize("words", ["cancel 1", "retry 1", "dlq retry 1"])
def test_what_changes_jobs_starts_no_daemon_where_there_are_none(
    person: Home, words: str
) -> None:
    """But it does where the queue is there and only its daemon is not."""
    assert person.run(*words.split()).returncode == 3
    assert list(person.root.iterdir()) == [person.work]
    person.ctl("enqueue", "true")
    person.ctl("daemon", "stop")
    assert person.run(*words.split()).returncode != 3
    assert person.answers()


SITUATIONS = [
    ([], {}),
    (["--user"], {}),
    (["--user"], {"QUEUECTL_SOCKET": "{home}/none"}),
    ([], {"QUEUECTL_SOCKET": "{home}/none"}),
    (["--socket", "{home}/no one's"], {}),
    (["--socket", "{root}/queuectl.sock"], {}),
    (["--socket", "{home}/a queue/queuectl.sock"], {}),
    ([], {"QUEUECTL_HOME": "{home}/a queue"}),
    ([], {"QUEUECTL_HOME": "{home}/new"}),
]
"""Ways to be without a daemon: options and variables."""


@pytest.mark.parametrize(("options", "variables"), SITUATIONS)
@pytest.mark.parametrize("command", ["status", "daemon start", "daemon stop"])
def test_advice_works_as_it_is_given(
    person: Home, command: str, options: list[str], variables: dict[str, str]
) -> None:
    """Typed into the same shell, what is advised is no mistake and helps."""
    names = {"home": str(home_of(person)), "root": str(person.root)}
    options = [option.format(**names) for option in options]
    variables = {name: value.format(**names) for name, value in variables.items()}
    other = home_of(person) / "a queue"
    other.mkdir()
    (other / "lock").touch()
    (person.root / "lock").touch()
    done = person.run(*options, *command.split(), **variables)
    if command == "daemon start" and done.returncode == 0:
        advised = shlex.join(["queuectl", *options, "daemon", "start"])
    else:
        assert done.returncode == 3, done.stderr
        advised = advice(done.stderr)
    helped = person.run("-c", advised, program="/bin/sh", **variables)
    assert helped.returncode == 0, (advised, helped.stderr)
    assert "is running" in helped.stdout or "running already" in helped.stdout
    again = advised.removesuffix("daemon start") + "daemon stop --now"
    stopped = person.run("-c", again, program="/bin/sh", **variables)
    assert stopped.returncode == 0, stopped.stderr


def advice(said: str) -> str:
    """Return the command that a message ends with."""
    found = re.search(r": ((?:\w+='?[^']*'? )?queuectl [^;]*)$", said.strip())
    assert found, said
    return found[1]


def test_notes_select_the_queue_of_the_command(person: Home) -> None:
    """What is advised of workers means the queue that was asked for."""
    person.ctl("enqueue", "true")
    said = person.run("--user", "status").stderr
    assert said.endswith("start some: queuectl --user worker start --count 2\n")
    said = person.run("--socket", str(person.socket), "status").stderr
    assert f"queuectl --socket {person.socket} worker start" in said


def test_two_queues_cannot_be_asked_for(person: Home) -> None:
    """Options that contradict each other are a mistake."""
    done = person.run("--user", "--system", "status")
    assert done.returncode == 2
    assert "--user or --system, not both" in done.stderr


def test_a_job_talks_to_the_queue_that_runs_it(person: Home) -> None:
    """Without a variable of its own, and wherever the person's own queue is."""
    home = str(home_of(person) / "private")
    person.ctl("worker", "start")
    job = person.enqueue("queuectl status --json >seen; echo >>seen")
    person.ended(job)
    seen = json.loads(person.appears("seen"))["queue"]
    assert (seen["kind"], seen["socket"]) == ("socket", str(person.socket))
    # A variable of another queue, which the command that enqueued it had.
    done = person.run(
        "--user", "enqueue", "true", QUEUECTL_HOME=home, QUEUECTL_SOCKET="/none"
    )
    assert done.returncode == 0
    person.ctl("daemon", "stop", QUEUECTL_HOME=home)
    job = person.ctl(
        "--socket",
        str(person.socket),
        "enqueue",
        "queuectl status --json >other; echo >>other",
        QUEUECTL_HOME=home,
    )
    person.ended(job)
    assert json.loads(person.appears("other"))["queue"]["socket"] == str(person.socket)


def test_a_job_reaches_another_queue_by_its_home(person: Home) -> None:
    """QUEUECTL_HOME, set in a job, wins over the socket that the daemon gave it."""
    person.ctl("worker", "start")
    inner = "QUEUECTL_HOME=$PWD/inner"
    person.enqueue(
        f"{inner} queuectl enqueue true && {inner} queuectl status --json >seen; "
        f"{inner} queuectl daemon stop; echo >>seen"
    )
    seen = json.loads(person.appears("seen"))
    assert seen["pending"] == 1
    assert seen["queue"]["socket"] == str(person.work / "inner/queuectl.sock")
    assert person.ask("status")["pending"] == 0


def test_a_home_of_somebody_else_is_not_written_to(person: Home) -> None:
    """Under a sudo that keeps HOME, root's files would lock the user out."""
    if os.geteuid() != 0:
        pytest.skip("only root could")
    os.chown(person.root, 4711, 4711)
    done = person.run("enqueue", "true")
    assert done.returncode == 3
    assert f"{person.root} belongs to another user (uid 4711)" in done.stderr
    assert list(person.root.iterdir()) == [person.work]


def test_a_home_that_cannot_be_written_to_is_told(person: Home) -> None:
    """With what to set instead."""
    file = person.work / "file"
    file.touch()
    done = person.run("enqueue", "true", HOME=str(file))
    assert done.returncode == 3
    assert "set QUEUECTL_HOME to one that is yours" in done.stderr
