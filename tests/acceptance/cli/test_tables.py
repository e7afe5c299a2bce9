"""Tables and pages as people see them, in golden files.

What a run would make different each time is made the same before, in the database, or
afterwards, in the text. So alignment is compared as it is.
"""

import re
from collections.abc import Iterator

import pytest

from helpers import golden
from helpers.cli import Cli
from helpers.home import Home, a_home

SECOND, HOUR, DAY = 1000, 3_600_000, 86_400_000

LONG = "[ -f in.csv ] || exit 4; cut -d, -f2 in.csv | sort | uniq -c | sort -rn >top"

STATISTICS = {
    "completed": [(0, 240, 0)],
    "dead": [(0, 10, 0)],
    "cancelled": [(0, 3, 0)],
    "failed": [(0, 31, 0)],
    "retried": [(0, 20, 0)],
    "lost": [(0, 1, 0)],
    "run": [(30, 200, 3_400), (70, 60, 47_000), (100, 11, 150_000)],
    "wait": [(10, 250, 700), (60, 21, 6_400)],
}
"""Rows of a minute: metric, then bucket, events and milliseconds of each."""


@pytest.fixture(scope="module")
def cli() -> Iterator[Cli]:
    """A queue with a job in each state, most of them days old."""
    with a_home() as home:
        home.environ["QUEUECTLD_CGROUP"] = "off"  # the same wherever this runs
        made = Cli(home)
        enqueue_old_jobs(made)
        make_old(home)
        made.ok("worker", "start")
        gate = home.gate()
        made.enqueue("echo >begun; read _ <gate", "--id", "running", "-p", "-1")
        home.appears("begun")
        made.ok("worker", "start")
        yield made
        gate.open()


def enqueue_old_jobs(cli: Cli) -> None:
    """Enqueue a job for each state but one, let them get there, stop the daemon."""
    cli.ok("worker", "start")
    cli.ok("config", "set", "backoff-base", "1")
    cli.ended("echo built", "--id", "nightly", "--label", "Nightly build", "-p", "10")
    cli.ended("echo no >&2; exit 3", "--id", "broken", "--max-retries", "1")
    cli.ended("kill -9 $$", "--id", "killed", "--max-retries", "0")
    there = {"id": "nowhere", "max_retries": 0, "cwd": "/no/such"}
    cli.home.ended(cli.home.enqueue("true", **there))
    cli.ok("config", "set", "backoff-base", "1000")
    failing = cli.enqueue(LONG)
    cli.home.until_state(failing, "failed")
    cli.ok("config", "unset", "backoff-base")
    cli.ok("cancel", cli.enqueue("true", "--delay", "1d"))
    limits = ("--nice", "5", "--rlimit", "nofile=1024", "--rlimit", "core=infinity")
    rsync = ("rsync", "-a", "my dir", "host:/tmp")
    cli.ok("enqueue", "--at", "23:59", *limits, "--", *rsync)
    cli.ok("worker", "stop")
    cli.ok("daemon", "stop")


def make_old(home: Home) -> None:
    """Give every job and attempt the same times and sizes, and some history."""
    now = home.now()
    then = now - 3 * DAY - 12 * HOUR
    started, finished = then + SECOND, then + 3500
    home.edit("UPDATE jobs SET created_at = ?, updated_at = ?", then, finished)
    home.edit(
        "UPDATE jobs SET started_at = ?, finished_at = ? WHERE started_at IS NOT NULL",
        started,
        finished,
    )
    soon, later = now + 100 * 60 * SECOND + 30 * SECOND, now + DAY + HOUR + HOUR // 2
    home.edit("UPDATE jobs SET run_at = ? WHERE state = 'failed'", soon)
    home.edit("UPDATE jobs SET run_at = ? WHERE state = 'pending'", later)
    home.edit(
        "UPDATE attempts SET started_at = ?, finished_at = ?, "
        "max_rss = 14680064, user_ms = 1200, system_ms = 340 WHERE reason <> ?",
        started,
        finished,
        "spawn_error",
    )
    home.edit(
        "UPDATE attempts SET memory_peak = 68157440 "
        "WHERE job = (SELECT seq FROM jobs WHERE name = 'killed')"
    )
    home.edit("DELETE FROM rollup")
    minute = now // 60_000 - 120
    for metric, rows in STATISTICS.items():
        for row in rows:
            home.edit(
                "INSERT INTO rollup VALUES (?, 'default', ?, ?, ?, ?)",
                minute,
                metric,
                *row,
            )


def same(text: str, home: Home) -> str:
    """Return the text with what still differs from run to run made the same."""
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "YYYY-MM-DD hh:mm:ss", text)
    text = re.sub(r"(?m)^.*(?:running|busy|idle| ago\)).*$", _ageless, text)
    text = re.sub(r"\buid \d+", "uid N", text)
    text = re.sub(r"(?m)^Jobs per minute .*$", "Jobs per minute  N", text)
    text = re.sub(r"(?m)^(Pid|Up for|Memory)( +).*$", r"\1\2N", text)
    text = re.sub(
        r" +(PID|\d+)(?=  (?:STATE|idle|busy))",
        lambda found: f"{found[1] if found[1] == 'PID' else 'N':>9}",
        text,
    )
    return text.replace(str(home.root), "HOME")


def _ageless(line: re.Match[str]) -> str:
    return re.sub(r"(?<![\d.])\ds\b", "Ns", line[0])


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("status", ("status",)),
        ("list", ("list",)),
        ("list-output", ("list", "--output", "--state", "dead")),
        ("dlq-list", ("dlq", "list")),
        ("show-completed", ("show", "nightly")),
        ("show-dead", ("show", "broken")),
        ("show-killed", ("show", "killed")),
        ("show-not-spawned", ("show", "nowhere")),
        ("show-failed", ("show", "5")),
        ("show-pending", ("show", "7")),
        ("show-running", ("show", "running")),
        ("worker-list", ("worker", "list")),
        ("config-list", ("config", "list")),
        ("config-show", ("config", "show")),
        ("stats", ("stats",)),
        ("daemon-status", ("daemon", "status")),
    ],
)
def test_a_page_is_as_reviewed(cli: Cli, name: str, arguments: tuple[str, ...]) -> None:
    """As it is in a pipe or a file: nothing is cut."""
    golden.check(f"pages/{name}.txt", same(cli.ok(*arguments), cli.home))


@pytest.mark.parametrize("width", [100, 80, 50])
@pytest.mark.parametrize("name", ["list", "show", "config"])
def test_a_page_on_a_terminal_is_as_reviewed(cli: Cli, name: str, width: int) -> None:
    """Narrow terminals show less, and what is more important longest."""
    arguments = {
        "list": ("list",),
        "show": ("show", "broken"),
        "config": ("config", "list"),
    }
    with cli.terminal(*arguments[name], columns=width) as terminal:
        assert terminal.end() == 0
        shown = "".join(f"{line}\n" for line in terminal.lines)
    golden.check(f"pages/{name}-{width}.txt", same(shown, cli.home))


def test_every_golden_page_is_used() -> None:
    """No page is kept of a test that is gone."""
    marks = test_a_page_is_as_reviewed.pytestmark
    piped = {f"{name}.txt" for name, _ in marks[0].args[1]}
    narrow = {
        f"{name}-{width}.txt"
        for name in ("list", "show", "config")
        for width in (100, 80, 50)
    }
    assert golden.names("pages") == piped | narrow


def test_empty_columns_are_left_out(fresh: Cli) -> None:
    """Also of a list that ends before the jobs do; not of one that goes on."""
    for _ in range(3):
        fresh("enqueue", "true")
    for limit in ("2", "3"):
        header, *rows = fresh("list", "-n", limit).out.splitlines()
        assert header.split() == ["ID", "STATE", "RUNS", "AGE", "COMMAND"]
        assert len(rows) == int(limit)


def test_a_program_that_is_not_there_is_named(fresh: Cli) -> None:
    """Where one would look first: in what wait says, and in the list."""
    fresh("worker", "start")
    job = fresh("enqueue", "--max-retries", "0", "--", "no-such-tool").out.strip()
    said = fresh("wait", job)
    why = "spawn error: no-such-tool: command not found"
    assert said.code == 127
    assert said.out.startswith(f"{job}: dead ({why}; the job's PATH is ")
    assert why in fresh.ok("list", "--state", "dead")
    assert why in fresh.ok("dlq", "list")
