"""``run``: whose worker runs it, what it waits behind, and how it comes to an end."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from helpers import hindered, waiting
from helpers.cli import Cli, Said
from helpers.home import BIN, Home
from helpers.rawclient import PATIENCE

NOBODY = {"active": 0, "busy": 0}


def begin(home: Home, *arguments: str) -> subprocess.Popen[str]:
    """Begin a run whose remarks can be read."""
    child = subprocess.Popen(
        [BIN / "queuectl", "run", *arguments],
        cwd=home.work,
        env=home.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    home.adopt(child)
    return child


def ended(child: subprocess.Popen[str]) -> Said:
    """Wait for the end of a run."""
    out, err = child.communicate(timeout=PATIENCE)
    return Said(child.returncode, out, err)


def no_workers(home: Home) -> None:
    """Wait until none is left."""
    waiting.until(lambda: not home.workers(), "its worker has ended")


# -- a worker for it alone ------------------------------------------------------------


def test_where_no_worker_is_one_comes_for_it_alone(fresh: Cli) -> None:
    """Also in a queue without a daemon; it goes with the job, and is wanted nowhere."""
    assert fresh("run", "echo first") == Said(0, "first\n", "")
    no_workers(fresh.home)
    assert fresh("run", "echo again; exit 7") == Said(7, "again\n", "")
    no_workers(fresh.home)
    assert fresh.json("status", "--json")["workers"] == NOBODY
    assert fresh.home.ask("workers.list")["wanted"] == 0


def test_it_begins_no_backlog(fresh: Cli) -> None:
    """What waited before it, and at a higher priority, goes on waiting."""
    waits = fresh("enqueue", "-p", "9", "echo >backlog").out.strip()
    gate = fresh.home.gate()
    child = begin(fresh.home, "echo >mine; read _ <gate; echo done")
    fresh.home.appears("mine")
    (worker,) = fresh.home.ask("workers.list")["workers"]
    assert (worker["reserved"], worker["bound"]) == (True, True)
    assert "for one job" in fresh.ok("worker", "list")
    assert fresh.json("status", "--json")["workers"] == NOBODY
    later = fresh.home.ask("enqueue", job={"command": "true"})
    assert later["workers"] == 0
    gate.open()
    assert ended(child) == Said(0, "done\n", "")
    no_workers(fresh.home)
    states = [fresh.home.job(each)["state"] for each in (waits, later["job"]["id"])]
    assert states == ["pending", "pending"]
    assert not (fresh.home.work / "backlog").exists()


def test_two_at_once_have_a_worker_each(fresh: Cli) -> None:
    """One that is there for one job is none to the other."""
    gate = fresh.home.gate()
    fresh.ok("daemon", "start")
    children = [begin(fresh.home, f"echo >r{n}; read _ <gate") for n in range(2)]
    for number in range(2):
        fresh.home.appears(f"r{number}")
    gate.open(2)
    assert [ended(child) for child in children] == [Said(0, "", "")] * 2
    no_workers(fresh.home)


def test_workers_that_come_meanwhile_are_not_disturbed(fresh: Cli) -> None:
    """They take the backlog; the number wanted is the operator's alone."""
    waits = fresh("enqueue", "echo >backlog").out.strip()
    gate = fresh.home.gate()
    child = begin(fresh.home, "echo >mine; read _ <gate")
    fresh.home.appears("mine")
    fresh.ok("worker", "start", "--count", "2")
    assert fresh.home.ended(waits)["state"] == "completed"
    assert fresh.home.ask("workers.ensure", count=2) == {"workers": 2, "wanted": 2}
    assert fresh.json("status", "--json")["workers"] == {"active": 2, "busy": 0}
    gate.open()
    assert ended(child) == Said(0, "", "")
    waiting.until(lambda: len(fresh.home.workers()) == 2, "its own has ended")
    assert fresh.home.ask("workers.list")["wanted"] == 2


def test_where_workers_are_it_waits_its_turn(fresh: Cli) -> None:
    """None is added, however long it takes, and it says behind what."""
    fresh.ok("worker", "start")
    gate = fresh.home.gate()
    busy = fresh.enqueue("echo >busy; read _ <gate")
    fresh.home.appears("busy")
    before = fresh.enqueue("true")
    child = begin(fresh.home, "echo here")
    assert child.stderr
    said = child.stderr.readline()
    assert re.fullmatch(
        rf"job \d+ waits for the worker, busy with job {busy}; 1 job is before it\n",
        said,
    )
    assert len(fresh.home.workers()) == 1
    gate.open()
    assert ended(child) == Said(0, "here\n", "")
    assert fresh.home.job(before)["state"] == "completed"


def test_quiet_says_nothing_of_its_waiting(fresh: Cli) -> None:
    """For scripts; how the job ended is told all the same."""
    fresh.ok("worker", "start")
    gate = fresh.home.gate()
    fresh.enqueue("echo >busy; read _ <gate")
    fresh.home.appears("busy")
    loud = begin(fresh.home, "true")
    quiet = begin(fresh.home, "--quiet", "--cwd", "/no/such", "true")
    assert loud.stderr
    assert loud.stderr.readline().startswith("job ")
    gate.open()
    assert ended(loud).code == 0
    assert ended(quiet) == Said(
        127,
        "",
        "queuectl: cannot enter the directory /no/such: No such file or directory\n",
    )


@pytest.mark.parametrize("options", [(), ("--now",)])
def test_a_stop_of_all_workers_stops_its_own(
    fresh: Cli, options: tuple[str, ...]
) -> None:
    """What runs ends first; interrupted, it is pending, and no worker comes back."""
    gate = fresh.home.gate()
    child = begin(fresh.home, "echo >mine; read _ <gate; echo done")
    fresh.home.appears("mine")
    (job,) = fresh.home.ask("list")["jobs"]
    if options:
        said = fresh("worker", "stop", *options)
        assert said.out == "1 worker stopped\n1 job interrupted, and pending again\n"
        assert fresh.home.job(job["id"])["state"] == "pending"
        assert fresh.home.workers() == []
        (fresh.home.work / "mine").unlink()
        fresh.ok("worker", "start")
        fresh.home.appears("mine")
    else:
        stopping = fresh.home.begin("worker", "stop")
        waiting.until(
            lambda: [w["state"] for w in fresh.home.workers()] == ["stopping"],
            "it is told",
        )
        gate.open()
        assert stopping.wait(PATIENCE) == 0
    gate.open()
    assert ended(child) == Said(0, "done\n", "")


# -- ends -----------------------------------------------------------------------------


def test_a_client_that_is_killed_leaves_the_job_to_its_worker(fresh: Cli) -> None:
    """Which finishes it, and then ends, though nobody is there any more."""
    gate = fresh.home.gate()
    child = begin(fresh.home, "echo >mine; read _ <gate")
    fresh.home.appears("mine")
    (job,) = fresh.home.ask("list")["jobs"]
    child.kill()
    child.communicate()
    waiting.until(
        lambda: [w["state"] for w in fresh.home.workers()] == ["stopping"], "it is seen"
    )
    gate.open()
    assert fresh.home.ended(job["id"])["state"] == "completed"
    no_workers(fresh.home)


def test_a_worker_that_is_killed_ends_the_run(fresh: Cli) -> None:
    """The job has no retries: it is dead, and its loss is told; none comes in vain."""
    child = begin(fresh.home, "echo >mine; sleep 607")
    fresh.home.appears("mine")
    (worker,) = fresh.home.workers()
    fresh.home.kill(worker["pid"])
    said = ended(child)
    assert said.code == 1
    assert "queuectl: " in said.err
    no_workers(fresh.home)
    (job,) = fresh.home.ask("list")["jobs"]
    assert (job["state"], job["reason"], job["runs"]) == ("dead", "lost", 1)


def test_a_daemon_that_is_killed_does_not_end_the_run(fresh: Cli) -> None:
    """The next one has the result, and the run its output and its code."""
    gate = fresh.home.gate()
    child = begin(fresh.home, "echo begun >mine; read _ <gate; echo done; exit 6")
    fresh.home.appears("mine")
    fresh.home.kill(fresh.home.daemon)
    fresh.ok("daemon", "start")
    gate.open()
    assert ended(child) == Said(6, "done\n", "")
    no_workers(fresh.home)


def test_a_run_that_has_not_begun_gets_its_worker_from_the_next_daemon(
    fresh: Cli,
) -> None:
    """Bound workers do not outlive a daemon, and its job waits still."""
    fresh.ok("daemon", "start")
    gate = fresh.home.gate()
    fresh.ok("worker", "start")
    fresh.enqueue("echo >busy; read _ <gate")
    fresh.home.appears("busy")
    child = begin(fresh.home, "echo here")
    assert child.stderr
    assert "waits for the worker" in child.stderr.readline()
    stopping = fresh.home.begin("worker", "stop")
    waiting.until(
        lambda: [w["state"] for w in fresh.home.workers()] == ["stopping"], "it is told"
    )
    gate.open()
    assert stopping.wait(PATIENCE) == 0
    assert fresh.home.workers() == []
    fresh.home.kill(fresh.home.daemon)
    assert ended(child) == Said(0, "here\n", "")


def test_a_terminal_that_is_closed_cancels_the_job(fresh: Cli) -> None:
    """As it hangs up on any program there; nothing of the job is left."""
    with fresh.terminal("run", "echo ready; sleep 608") as terminal:
        terminal.until("ready\r\n")
        terminal.hang_up()
    (job,) = fresh.home.ask("list")["jobs"]
    assert fresh.home.ended(job["id"])["state"] == "cancelled"
    assert not [s for s in fresh.home.processes() if "sleep 608" in s.command]
    no_workers(fresh.home)


def test_a_reader_that_pauses_holds_up_nobody(fresh: Cli) -> None:
    """The job writes into files and ends; all of it comes when it is read."""
    size = 3_000_000
    child = begin(fresh.home, f"head -c {size} /dev/zero | tr '\\0' x; echo >written")
    fresh.home.appears("written")
    (job,) = fresh.home.ask("list")["jobs"]
    assert fresh.home.ended(job["id"])["state"] == "completed"
    said = ended(child)
    assert (said.code, len(said.out), said.err) == (0, size, "")


# -- what kind of job it is -----------------------------------------------------------


def test_it_has_no_timeout_unless_one_is_given(fresh: Cli) -> None:
    """Whatever the setting says, in options and in JSON."""
    fresh.ok("config", "set", "timeout", "0.1")
    lines = [
        (("run", "true"), 0),
        (("run", "--timeout", "5m", "true"), 300),
        (("run", '{"command": "true"}'), 0),
        (("run", '{"command": "true", "timeout": 7}'), 7),
        (("run", '{"command": "true", "timeout": null}'), 0),
    ]
    for arguments, timeout in lines:
        fresh.ok(*arguments)
        (job,) = fresh.json("list", "--json", "-n", "1")
        assert (job["timeout"], job["foreground"]) == (timeout, True)


def test_its_failures_are_left_out_when_all_are_retried(fresh: Cli) -> None:
    """They are in the dead letter queue, are told of, and can be retried by id."""
    assert fresh("run", "exit 3").code == 3
    fresh.home.forget_remarks()
    other = fresh("enqueue", "exit 4", "--max-retries", "0").out.strip()
    fresh.ok("worker", "start")
    fresh.home.ended(other)
    fresh.ok("worker", "stop")
    assert len(fresh.json("dlq", "list", "--json")) == 2
    assert fresh("dlq", "retry", "--all") == Said(
        0,
        "1 job pending again\n",
        "1 job of queuectl run left; retry by id: queuectl dlq list\n",
    )
    (mine,) = fresh.json("dlq", "list", "--json")
    assert mine["foreground"] is True
    assert "dlq retry --all leaves it out" in fresh.ok("show", mine["id"])
    assert fresh.home.ask("retry_all", state="dead") == {"retried": 1, "skipped": 0}


def test_a_shell_can_be_chosen(fresh: Cli) -> None:
    """By the job or by the setting, which a job takes along; never with words."""
    fresh.ok("daemon", "start")
    line = "echo ${BASH_VERSION:+bash}"
    assert fresh.ok("run", "--shell", "/bin/bash", line) == "bash\n"
    fresh.ok("config", "set", "shell", "/bin/bash")
    assert fresh.ok("config", "get", "shell") == "/bin/bash\n"
    assert fresh.ok("run", line) == "bash\n"
    assert fresh.ok("run", "--", "echo", "words") == "words\n"
    assert fresh.json("list", "--json", "-n", "1")[0]["shell"] is None
    assert fresh.ok("run", "--shell", "/bin/sh", "echo $0") == "/bin/sh\n"
    fresh.ok("config", "unset", "shell")
    assert fresh("run", "--shell", "/no/such", "true") == Said(
        127,
        "",
        "there is no shell /no/such yet; without it the job fails\n"
        "queuectl: /no/such: no such file\n",
    )


# -- stdin, and other remarks ---------------------------------------------------------

UNREAD = (
    "the job does not get this standard input, it reads an empty one; "
    "to silence this note, give < /dev/null or --quiet\n"
)


def test_input_that_is_dropped_is_remarked(fresh: Cli, tmp_path: Path) -> None:
    """What waits in a pipe, and a file at its beginning; not in a loop over one."""
    assert fresh("run", "cat", stdin="data") == Said(0, "", UNREAD)
    assert fresh("run", "--quiet", "cat", stdin="data") == Said(0, "", "")
    assert fresh("run", "cat", stdin="") == Said(0, "", "")
    file = tmp_path / "input"
    file.write_text("one\ntwo\n")
    run = f"{BIN}/queuectl run cat"
    shell = {
        f"{run} <{file}": UNREAD,
        f"while read -r _; do {run}; done <{file}": "",
        f"{run} </dev/null": "",
        f"{run} <&-": "",
        f"seq 5 | while read -r _; do {run}; done": UNREAD,
    }
    for line, remark in shell.items():
        said = fresh.home.run("-c", line, program="/bin/bash")
        assert (said.returncode, said.stderr) == (0, remark), line


NOTE = "no workers are running; start some: queuectl worker start --count 2\n"


def test_that_there_are_no_workers_is_said_once_in_a_while(fresh: Cli) -> None:
    """Not at each call, whoever calls at the same time; later it is said again."""
    fresh.ok("daemon", "start")
    enqueue = [BIN / "queuectl", "enqueue", "true"]
    children = [
        subprocess.Popen(
            enqueue,
            cwd=fresh.home.work,
            env=fresh.home.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(5)
    ]
    assert sorted(ended(child).err for child in children) == [""] * 4 + [NOTE]
    assert fresh("enqueue", "true").err == ""
    (stamp,) = fresh.home.root.glob("told-no-workers")
    os.utime(stamp, (0, 0))
    assert fresh("enqueue", "true").err == NOTE
    os.utime(stamp, (2**33, 2**33))
    assert fresh("enqueue", "true").err == NOTE, "a clock that was wrong"


def test_what_cannot_be_remembered_is_said(fresh: Cli) -> None:
    """And fails nothing: a stamp that is a directory, a link, a pipe."""
    fresh.ok("daemon", "start")
    stamp = fresh.home.root / "told-no-workers"
    stamp.mkdir()
    assert fresh("enqueue", "true").err == NOTE
    stamp.rmdir()
    stamp.symlink_to("elsewhere")
    assert fresh("enqueue", "true").err == NOTE
    assert not (fresh.home.root / "elsewhere").exists()
    stamp.unlink()
    os.mkfifo(stamp)
    assert fresh("enqueue", "true").err == NOTE
    stamp.unlink()


def test_a_directory_that_is_not_there_is_remarked(fresh: Cli) -> None:
    """By --cwd, in JSON or for a file; the job is enqueued, for it may come yet."""
    fresh.ok("daemon", "start")
    fresh.ok("worker", "start")
    remark = "there is no directory /no/such yet; without it the job fails\n"
    later = ("--delay", "1d")
    for arguments in (
        ("--cwd", "/no/such", "true"),
        ('{"command": "true", "cwd": "/no/such"}',),
    ):
        said = fresh("enqueue", *later, *arguments)
        assert (said.code, said.err) == (0, remark)
        assert fresh.home.job(said.out.strip())["cwd"] == "/no/such"
    lines = ("--lines", "-f", "-", "--cwd", "/no/such")
    said = fresh("enqueue", *later, *lines, stdin="a\nb\n")
    assert (said.code, said.err) == (0, remark)
    fresh.ok("enqueue", *later, "--cwd", "/", "true")


def test_a_terminal_is_needed_for_none_of_it(fresh: Cli) -> None:
    """The worker ends with the run, in a session without a terminal too."""
    child = subprocess.run(
        [BIN / "queuectl", "run", "echo here"],
        cwd=fresh.home.work,
        env=fresh.home.environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        start_new_session=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (child.returncode, child.stdout, child.stderr) == (0, "here\n", "")
    no_workers(fresh.home)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_waiting_too(fresh: Cli, number: signal.Signals) -> None:
    """The job that has not begun is cancelled, and never will."""
    fresh.ok("worker", "start")
    gate = fresh.home.gate()
    fresh.enqueue("echo >busy; read _ <gate")
    fresh.home.appears("busy")
    child = begin(fresh.home, "echo here")
    assert child.stderr
    assert "it is the next" in child.stderr.readline()
    child.send_signal(number)
    assert ended(child) == Said(130, "", "")
    (job,) = fresh.home.ask("list", limit=1)["jobs"]
    assert (job["state"], job["runs"]) == ("cancelled", 0)
    gate.open()


def test_a_full_disk_refuses_the_run(fresh: Cli) -> None:
    """At once, with the reason; nothing is left of it."""
    hindered.serve(fresh.home)
    (fresh.home.root / "full").touch()
    assert fresh.refused("run", "true").startswith("no room")
    (fresh.home.root / "full").unlink()
    assert fresh.home.ask("list")["jobs"] == []
    assert fresh.home.workers() == []


def test_a_disk_that_is_full_for_a_while_holds_up_the_run(fresh: Cli) -> None:
    """Its result is kept until there is room; then it ends as the job did."""
    hindered.serve(fresh.home, constants={"control.attempts.RETRY": 0.05})
    gate = fresh.home.gate()
    child = begin(fresh.home, "echo begun >mine; read _ <gate; echo done; exit 3")
    fresh.home.appears("mine")
    (fresh.home.root / "full").touch()
    gate.open()
    waiting.until(lambda: fresh.home.ask("health")["unstored"] == 1, "it has ended")
    assert child.poll() is None
    (fresh.home.root / "full").unlink()
    assert ended(child) == Said(3, "done\n", "")
    no_workers(fresh.home)


def test_a_worker_that_cannot_be_started_is_tried_again(fresh: Cli) -> None:
    """The run says that it waits for it."""
    hindered.serve(fresh.home)
    (fresh.home.root / "nofork").touch()
    child = begin(fresh.home, "echo here")
    assert child.stderr
    assert re.fullmatch(
        r"job 1 waits: no workers are running; .*\n", child.stderr.readline()
    )
    (fresh.home.root / "nofork").unlink()
    assert ended(child) == Said(0, "here\n", "")
    no_workers(fresh.home)


def test_a_client_that_goes_before_its_worker_comes_gets_none(fresh: Cli) -> None:
    """Its connection is over while its job is looked for: no worker is made."""
    home = fresh.home
    hindered.serve(home)
    job = home.enqueue("true")
    with hindered.held(home, "read") as hold:
        with home.connect() as client:
            client.send("workers.reserve", id=job)
            hold.reached()
        home.ask("ping")  # by the answer, the end before it has been seen as well
    assert home.ask("position", id=job)["ready"] is True
    started = [home.ask("workers.start")["workers"][0]["worker"] for _ in range(2)]
    assert started == [1, 2], "another one has had a number"
