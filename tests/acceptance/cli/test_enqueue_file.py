"""``enqueue --file``: many jobs, a line each, whole batches of them."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from helpers import waiting
from helpers.cli import NO_WORKERS, Cli, Said, shared
from helpers.home import BIN
from helpers.rawclient import PATIENCE

cli = shared(workers=0)


@pytest.fixture(autouse=True)
def forgotten(cli: Cli) -> None:
    """Have it said again that there are no workers."""
    cli.home.forget_remarks()


NEVER = ("--delay", "1d")


def ids(said: Said) -> list[str]:
    """Return the ids that were printed, which are those of consecutive jobs."""
    found = said.out.splitlines()
    first = int(found[0])
    assert found == [str(first + i) for i in range(len(found))]
    return found


def enqueued(cli: Cli) -> int:
    """Return how many jobs there are."""
    counts = cli.home.ask("status")
    return sum(counts[state] for state in ("pending", "completed", "dead"))


def test_a_file_has_a_json_object_a_line(cli: Cli, tmp_path: Path) -> None:
    """Fields come from the line; what it leaves out, from options and from here."""
    file = tmp_path / "jobs.jsonl"
    lines = ['{"command": "a"}', "", '  {"command": ["b", "c d"], "priority": 9}\r']
    file.write_text("\n".join(lines))
    said = cli("enqueue", *NEVER, "-p", "4", "-e", "A=1", "--file", str(file))
    assert (said.code, said.err) == (0, NO_WORKERS)
    first, second = (cli.home.ask("get", id=i, env=True)["job"] for i in ids(said))
    assert (first["command"], first["priority"]) == ("a", 4)
    assert (second["command"], second["priority"]) == (["b", "c d"], 9)
    for job in (first, second):
        assert job["cwd"] == str(cli.home.work)
        assert job["env"]["A"] == "1"
        assert job["env"]["QUEUECTL_HOME"] == str(cli.home.root)


def test_lines_are_shell_lines(cli: Cli) -> None:
    """As they are, also one that looks like JSON, and bytes that are no text."""
    lines = ["echo a | wc", '{"command": "x"}', "# ü \udcff", "true"]
    said = cli("enqueue", *NEVER, "--lines", "-f", "-", stdin="\n".join(lines))
    assert (said.code, said.err) == (0, NO_WORKERS)
    stored = [cli.home.job(job)["command"] for job in ids(said)]
    assert stored == lines


def test_an_empty_file_is_no_job(cli: Cli) -> None:
    """No id is printed, it is remarked, and nothing is wrong."""
    assert cli("enqueue", "--file", "-", stdin="\n \n") == Said(
        0, "", "no jobs in stdin\n"
    )


def test_no_more_than_a_batch_is_lost_with_a_bad_line(cli: Cli) -> None:
    """Batches of 1,000: those before it are stored, its own is not, nor are later."""
    lines = [json.dumps({"command": f"echo {n}"}) for n in range(1, 3001)]
    lines[2345] = '{"command": "x", "priority": "high"}'
    before = enqueued(cli)
    said = cli("enqueue", *NEVER, "--file", "-", stdin="\n".join(lines))
    assert said.code == 1
    assert len(ids(said)) == 2000
    assert said.err == (
        "queuectl: stdin, line 2346: priority is a whole number\n"
        "lines 1 to 2000 are enqueued, nothing after them is; "
        "mend line 2346 and go on from line 2001\n"
    )
    assert enqueued(cli) == before + 2000


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (['{"command": "a"}', "{"], "line 2: bad JSON: "),
        (['{"command": "a"}', "", "[]"], "line 3: bad JSON: "),
        (["{}", '{"command": "a"}'], "line 1: a job needs "),
        (['{"command": "a", "x": 1}'], "line 1: there is no field "),
        (['{"command": "a"}', '{"id": "7", "command": "a"}'], "line 2: id "),
        (
            ['{"id": "twice", "command": "a"}', '{"id": "twice", "command": "a"}'],
            "line 2: a job with the id 'twice' ",
        ),
        (['{"command": "\udcff"'], "line 1: bad JSON"),
    ],
)
def test_the_first_bad_line_is_named(cli: Cli, lines: list[str], message: str) -> None:
    """Nothing of its batch is enqueued."""
    before = enqueued(cli)
    said = cli("enqueue", "--file", "-", stdin="\n".join(lines))
    assert (said.code, said.out) == (1, "")
    first, second = said.err.splitlines()
    assert first.startswith(f"queuectl: stdin, {message}")
    assert second == "nothing was enqueued"
    assert enqueued(cli) == before


def test_a_files_name_is_told(cli: Cli, tmp_path: Path) -> None:
    """With the command that goes on where it ended."""
    file = tmp_path / "jobs"
    file.write_text("true\n" * 1000 + "\0\n")
    said = cli("enqueue", *NEVER, "--lines", "--file", str(file))
    assert said.code == 1
    assert len(ids(said)) == 1000
    assert said.err == (
        f"queuectl: {file}, line 1001: command holds a NUL character\n"
        "lines 1 to 1000 are enqueued, nothing after them is; "
        f"mend line 1001 and go on from line 1001: tail -n +1001 {file}\n"
    )


def test_the_longest_command_is_the_kernels(cli: Cli) -> None:
    """131,071 bytes can be passed to a program; one more is refused here."""
    longest = ": " + "x" * 131_069
    said = cli("enqueue", *NEVER, "--lines", "--file", "-", stdin=longest)
    assert (said.code, len(ids(said))) == (0, 1)
    said = cli("enqueue", "--lines", "--file", "-", stdin=longest + "x")
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("queuectl: stdin, line 1: command has 131072 bytes")


def test_if_exists_return_makes_a_file_repeatable(cli: Cli) -> None:
    """The ids are the same, and nothing is enqueued twice."""
    lines = "\n".join(
        json.dumps({"id": f"again-{n}", "command": "true"}) for n in range(3)
    )
    options = ("--if-exists", "return", "--max-retries", "2", "--file", "-")
    first = cli("enqueue", *options, stdin=lines)
    assert first == Said(0, "again-0\nagain-1\nagain-2\n", NO_WORKERS)
    before = enqueued(cli)
    assert cli("enqueue", *options, stdin=lines) == first._replace(err="")
    assert enqueued(cli) == before


def test_a_pipe_that_pauses_does_not_hold_jobs_back(cli: Cli) -> None:
    """What is there is enqueued, as with tail -f; Ctrl-C says how far it came."""
    with subprocess.Popen(
        [BIN / "queuectl", "enqueue", *NEVER, "--lines", "--file", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=cli.home.work,
        env=cli.home.environ,
        text=True,
    ) as child:
        assert child.stdin
        assert child.stdout
        assert child.stderr
        child.stdin.write("echo first\necho second\necho half of a")
        child.stdin.flush()
        first, second = child.stdout.readline(), child.stdout.readline()
        assert cli.home.job(first.strip())["command"] == "echo first"
        assert cli.home.job(second.strip())["command"] == "echo second"
        child.send_signal(signal.SIGINT)
        assert child.wait(PATIENCE) == -signal.SIGINT
        assert child.stdout.read() == ""
        assert child.stderr.read() == "interrupted: lines 1 to 2 are enqueued\n"


def test_an_ignored_ctrl_c_stays_ignored(cli: Cli) -> None:
    """As in the background of a script: the file is read to its end."""
    script = "trap '' INT; exec \"$0\" enqueue --delay 1d --lines --file -"
    with subprocess.Popen(
        ["/bin/sh", "-c", script, BIN / "queuectl"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=cli.home.work,
        env=cli.home.environ,
        text=True,
    ) as child:
        assert child.stdin
        assert child.stdout
        child.stdin.write("echo first\n")
        child.stdin.flush()
        first = child.stdout.readline()
        child.send_signal(signal.SIGINT)
        last, _ = child.communicate("echo last\n", PATIENCE)
    assert child.returncode == 0
    commands = [cli.home.job(job.strip())["command"] for job in (first, last)]
    assert commands == ["echo first", "echo last"]


def test_a_closed_pipe_loses_no_id(cli: Cli) -> None:
    """What is stored is told on stderr, and the status says that it is done."""
    before = enqueued(cli)
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as closed:
        done = subprocess.run(
            [BIN / "queuectl", "enqueue", *NEVER, "--lines", "--file", "-"],
            input=b"true\n" * 10,
            stdout=closed,
            stderr=subprocess.PIPE,
            cwd=cli.home.work,
            env=cli.home.environ,
            check=False,
        )
    assert done.returncode == 4
    so_far, unsaid, *ids = done.stderr.decode().splitlines()
    assert so_far == "lines 1 to 10 are enqueued"
    assert unsaid.startswith("queuectl: this was done, and cannot be written")
    assert [cli.home.job(job.strip())["command"] for job in ids] == ["true"] * 10
    waiting.until(lambda: enqueued(cli) == before + 10, "they are stored")
