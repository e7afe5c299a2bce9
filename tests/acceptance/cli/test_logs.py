"""``logs``: what a job wrote, byte for byte, and nothing else."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from helpers.cli import Cli, Said, shared
from helpers.home import BIN
from helpers.rawclient import PATIENCE

cli = shared(workers=2)

EVERY_BYTE = bytes(range(256))
ATTEMPTS = "echo out $QUEUECTL_ATTEMPT; echo err $QUEUECTL_ATTEMPT >&2; exit 1"


@contextmanager
def following(cli: Cli, *arguments: str) -> "Iterator[subprocess.Popen[str]]":
    """Run a command whose output is read while it goes on."""
    with subprocess.Popen(
        [BIN / "queuectl", "logs", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=cli.home.work,
        env=cli.home.environ,
        text=True,
    ) as child:
        try:
            yield child
        finally:
            child.kill()


def retried(cli: Cli, command: str, **fields: Any) -> str:
    """Enqueue a job that is retried at once, twice; return its id."""
    job = {"command": command, "max_retries": 2, "backoff_max": 0, **fields}
    return cli.ok("enqueue", json.dumps(job)).strip()


@pytest.fixture(scope="module")
def thrice(cli: Cli) -> str:
    """A job that has run three times."""
    job = retried(cli, ATTEMPTS)
    cli.home.ended(job)
    return job


def test_each_stream_is_written_as_it_was(cli: Cli) -> None:
    """Every byte, to the stream of the same name."""
    (cli.home.work / "bytes").write_bytes(EVERY_BYTE)
    job = cli.ended("cat bytes; cat bytes bytes >&2; cat bytes bytes")
    said = cli("logs", job)
    every_byte = EVERY_BYTE.decode("utf-8", "surrogateescape")
    assert said == Said(0, every_byte * 3, every_byte * 2)


def test_output_that_is_gone_is_a_failure(cli: Cli) -> None:
    """What is left is written all the same; a listing goes on without it."""
    job = cli.ended("echo out; echo err >&2")
    for file in (cli.home.root / "output").glob(f"*/{job}.1.*.out"):
        file.unlink()
    gone = f"the stdout of attempt 1 of job {job} is gone"
    for arguments in ((), ("--follow",)):
        said = cli("logs", job, *arguments)
        assert (said.code, said.out) == (1, "")
        assert said.err.startswith("err\n")
        assert gone in said.err
    assert cli("logs", job, "--stream", "stderr") == Said(0, "", "err\n")
    listed = cli("list", "--output", "--limit", "1")
    assert (listed.code, gone in listed.err) == (0, True)


def test_output_that_is_cut_is_a_failure(cli: Cli) -> None:
    """What is left is written, and how much there was is said."""
    job = cli.ended("echo out")
    (file,) = (cli.home.root / "output").glob(f"*/{job}.1.*.out")
    os.truncate(file, 2)
    for arguments in ((), ("--follow",)):
        said = cli("logs", job, *arguments)
        assert (said.code, said.out) == (1, "ou")
        assert f"the stdout of attempt 1 of job {job} is gone from byte 2" in said.err


def test_more_than_one_reply_can_hold(cli: Cli) -> None:
    """Output comes in pieces of a mebibyte; nobody sees the seams."""
    job = cli.ended("seq 400000; seq 100000 >&2")
    said = cli("logs", job)
    assert said.out == "".join(f"{n}\n" for n in range(1, 400_001))
    assert said.err == "".join(f"{n}\n" for n in range(1, 100_001))


def test_the_last_attempt_is_shown_unless_another_is_asked_for(
    cli: Cli, thrice: str
) -> None:
    """Every attempt's output is kept apart."""
    assert cli("logs", thrice) == Said(0, "out 3\n", "err 3\n")
    for n in "123":
        assert cli("logs", thrice, "--attempt", n) == Said(
            0, f"out {n}\n", f"err {n}\n"
        )
    message = f"job {thrice} has no attempt 4; its last one is 3"
    assert cli.refused("logs", thrice, "-a", "4") == message


def test_one_stream_alone(cli: Cli, thrice: str) -> None:
    """It still goes where it belongs."""
    assert cli("logs", thrice, "--stream", "stdout") == Said(0, "out 3\n", "")
    assert cli("logs", thrice, "--stream", "stderr") == Said(0, "", "err 3\n")


def test_a_tail_is_so_many_lines_of_each(cli: Cli) -> None:
    """A last line without an end is one too."""
    job = cli.ended("seq 100; printf end; seq 3 >&2")
    assert cli("logs", job, "--tail", "2") == Said(0, "100\nend", "2\n3\n")
    assert cli("logs", job, "-n", "0") == Said(0, "", "")
    assert cli("logs", job, "-n", "9", "--stream", "stderr").err == "1\n2\n3\n"


def test_a_job_that_wrote_nothing_is_silent(cli: Cli) -> None:
    """So is one that could not start."""
    assert cli("logs", cli.ended("true")) == Said(0, "", "")


def test_a_job_that_has_not_run_says_so(cli: Cli) -> None:
    """On stderr; it is no failure."""
    job = cli.enqueue("true", "--delay", "1d")
    note = f"job {job} has not run yet; to wait for it: --follow\n"
    assert cli("logs", job) == Said(0, "", note)
    assert "'nope'" in cli.refused("logs", "nope")
    assert "'nope'" in cli.refused("logs", "--follow", "nope")


def test_follow_goes_on_across_retries_to_the_jobs_end(cli: Cli) -> None:
    """What comes is written at once, and nothing of ours among it."""
    gate = cli.home.gate("retries")
    job = retried(cli, f"echo begin; read _ <retries; {ATTEMPTS}")
    with following(cli, job, "--follow") as child:
        assert child.stdout
        assert child.stderr
        for n in (1, 2, 3):
            assert child.stdout.readline() == "begin\n"
            gate.open()
            assert child.stdout.readline() == f"out {n}\n"
        assert child.stdout.read() == ""
        assert child.stderr.read() == "err 1\nerr 2\nerr 3\n"
        assert child.wait(PATIENCE) == 0


def test_follow_waits_for_a_job_to_begin(cli: Cli) -> None:
    """The last attempt, or the first to come."""
    job = cli.enqueue("echo here", "--delay", "0.3")
    assert cli("logs", "-f", job) == Said(0, "here\n", "")


def test_follow_of_one_attempt_ends_with_it(cli: Cli, thrice: str) -> None:
    """Of a job that has ended it writes what there is."""
    assert cli("logs", "-f", thrice) == Said(0, "out 3\n", "err 3\n")
    assert cli("logs", "-f", thrice, "-a", "1") == Said(0, "out 1\n", "err 1\n")
    gate = cli.home.gate("one")
    job = retried(cli, "echo $QUEUECTL_ATTEMPT; read _ <one; exit 1")
    with following(cli, job, "--follow", "--attempt", "1") as child:
        assert child.stdout
        assert child.stdout.readline() == "1\n"
        gate.open()
        assert child.wait(PATIENCE) == 0
        assert child.stdout.read() == ""
    gate.open(2)
    cli.home.ended(job)


def test_follow_can_begin_with_a_tail(cli: Cli) -> None:
    """Then all that is added."""
    gate = cli.home.gate("tail")
    job = cli.enqueue("seq 100; echo >written; read _ <tail; echo more")
    cli.home.appears("written")
    with following(cli, job, "-f", "--tail", "1", "--stream", "stdout") as child:
        assert child.stdout
        assert child.stdout.readline() == "100\n"
        gate.open()
        assert child.stdout.read() == "more\n"


def test_a_reader_that_has_gone_ends_it(cli: Cli) -> None:
    """By SIGPIPE, as it ends cat, without a word; the job goes on."""
    job = cli.ended("seq 400000")
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as closed:
        done = subprocess.run(
            [BIN / "queuectl", "logs", job],
            stdout=closed,
            stderr=subprocess.PIPE,
            env=cli.home.environ,
            check=False,
        )
    assert (done.returncode, done.stderr) == (-signal.SIGPIPE, b"")

    gate = cli.home.gate("gone")
    job = cli.enqueue("echo 1; read _ <gone; echo 2; read _ <gone; echo 3")
    with following(cli, job, "--follow") as child:
        assert child.stdout
        assert child.stderr
        assert child.stdout.readline() == "1\n"
        child.stdout.close()
        gate.open()
        assert child.wait(PATIENCE) == -signal.SIGPIPE
        assert child.stderr.read() == ""
    gate.open()
    assert cli.home.ended(job)["state"] == "completed"
    assert cli.ok("logs", job) == "1\n2\n3\n"
