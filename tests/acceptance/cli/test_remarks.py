"""Notes on stderr of ``run`` and ``enqueue``: input, workers, directory."""

import os
import subprocess
from pathlib import Path

from helpers.cli import NO_WORKERS, Cli, Said
from helpers.home import BIN
from helpers.runs import ended

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
    assert sorted(ended(child).err for child in children) == [""] * 4 + [NO_WORKERS]
    assert fresh("enqueue", "true").err == ""
    (stamp,) = fresh.home.root.glob("told-no-workers")
    os.utime(stamp, (0, 0))
    assert fresh("enqueue", "true").err == NO_WORKERS
    os.utime(stamp, (2**33, 2**33))
    assert fresh("enqueue", "true").err == NO_WORKERS, "a clock that was wrong"


def test_what_cannot_be_remembered_is_said(fresh: Cli) -> None:
    """And fails nothing: a stamp that is a directory, a link, a pipe."""
    fresh.ok("daemon", "start")
    stamp = fresh.home.root / "told-no-workers"
    stamp.mkdir()
    assert fresh("enqueue", "true").err == NO_WORKERS
    stamp.rmdir()
    stamp.symlink_to("elsewhere")
    assert fresh("enqueue", "true").err == NO_WORKERS
    assert not (fresh.home.root / "elsewhere").exists()
    stamp.unlink()
    os.mkfifo(stamp)
    assert fresh("enqueue", "true").err == NO_WORKERS
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
