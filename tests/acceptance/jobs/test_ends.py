"""How a running job ends, and that nothing it started outlives it."""

import signal
from pathlib import Path

import pytest

from helpers import processes
from helpers.home import Home

FAMILY = {
    "a child": "sleep 600 &",
    "in a session of its own": "setsid sleep 600 &",
    "forked twice": "(setsid sh -c 'sleep 600 & sleep 600 &' &);",
    "without its environment": "env -i setsid -f sleep 600;",
    "with everything closed": "setsid -f sleep 600 >&- 2>&-;",
    "deaf to SIGTERM": "setsid sh -c 'trap \"\" TERM; while :; do sleep 600; done' &",
}
"""What a job may leave behind, and how it got away."""


@pytest.fixture
def working(home: Home) -> Home:
    """A home with a worker, and little patience with jobs."""
    home.ctl("worker", "start")
    home.configure(kill_grace="0.3", max_retries="0")
    return home


def sleepers(home: Home) -> list[str]:
    """Return what still sleeps below the worker, whatever it has thrown away."""
    (worker,) = home.workers()
    return processes.below(worker["pid"])


@pytest.mark.parametrize("start", FAMILY.values(), ids=FAMILY)
def test_a_timeout_ends_all_that_the_job_started(working: Home, start: str) -> None:
    """SIGTERM, the grace, SIGKILL, to whatever it is and wherever it went."""
    job = working.enqueue(f"{start} echo >running; sleep 600", timeout=0.5)
    working.appears("running")
    assert len(sleepers(working)) >= 2
    end = working.ended(job)
    assert (end["state"], end["reason"]) == ("dead", "timeout")
    assert end["signal"] == signal.SIGTERM
    assert end["message"].startswith("ran longer than 0.5s")
    assert sleepers(working) == []


def test_what_a_job_leaves_behind_is_ended_with_it(working: Home) -> None:
    """The job has ended by itself, so it completed; what was ended is told."""
    job = working.enqueue(" ".join(FAMILY.values()) + " exit 0")
    end = working.ended(job)
    assert (end["state"], end["exit_code"]) == ("completed", 0)
    assert end["message"].startswith("ended ")
    assert end["message"].endswith(" that it left behind")
    assert sleepers(working) == []


def test_a_job_that_handles_sigterm_has_its_grace(working: Home) -> None:
    """It can say goodbye; that it was the timeout remains the reason."""
    job = working.enqueue(
        "trap 'echo bye; exit 3' TERM; while :; do sleep 0.01; done", timeout=0.3
    )
    end = working.ended(job)
    assert (end["reason"], end["exit_code"], end["signal"]) == ("timeout", 3, None)
    assert working.output(job) == "bye\n"


def test_output_over_the_limit_ends_the_job(working: Home) -> None:
    """Both streams count; what was written until then is kept."""
    write = "head -c 60000 /dev/zero; head -c 60000 /dev/zero >&2"
    under = working.enqueue(write, output_limit=120_000)
    over = working.enqueue(f"{write}; sleep 600", output_limit=119_999)
    assert working.ended(under)["state"] == "completed"
    end = working.ended(over)
    assert (end["state"], end["reason"]) == ("dead", "output_limit")
    (attempt,) = working.attempts(over)
    assert attempt["stdout_bytes"] == attempt["stderr_bytes"] == 60_000
    assert sleepers(working) == []


def test_a_command_that_cannot_start_is_a_failed_attempt(working: Home) -> None:
    """The message tells the reason, and the worker goes on."""
    (worker,) = working.workers()
    plain = working.work / "plain"
    plain.write_text("neither program nor script")
    odd = working.work / "odd"
    odd.write_text("#!/no/such/interpreter\n")
    odd.chmod(0o755)
    gone = working.work / "gone"
    jobs = [
        working.enqueue(["no-such-command"]),
        working.enqueue([str(plain)]),
        working.enqueue([str(odd)]),
        working.enqueue("true", cwd=str(gone)),
        too_large(working),
    ]
    for job in jobs:
        end = working.ended(job)
        assert (end["state"], end["reason"]) == ("dead", "spawn_error"), end
        assert end["message"]
        assert end["message"] in working.ctl("show", job)
    assert [w["pid"] for w in working.workers()] == [worker["pid"]]
    assert working.ended(working.enqueue("true"))["state"] == "completed"


def test_a_line_that_the_shell_cannot_run_is_an_exit(working: Home) -> None:
    """The shell ran; 127 and what it said are in the job."""
    end = working.ended(working.enqueue("no-such-command"))
    assert (end["reason"], end["exit_code"]) == ("exit", 127)


def test_how_it_ended_is_recorded(working: Home) -> None:
    """An exit code, or a signal, and what it used."""
    failed = working.enqueue("exit 3")
    killed = working.enqueue("kill -QUIT $$")
    end = working.ended(failed)
    assert (end["state"], end["reason"], end["exit_code"]) == ("dead", "exit", 3)
    end = working.ended(killed)
    assert (end["reason"], end["signal"]) == ("signal", signal.SIGQUIT)
    (attempt,) = working.attempts(killed)
    assert attempt["max_rss"] is None, "a shell needs less than its worker"
    assert attempt["user_ms"] >= 0


def test_a_job_writes_to_files_that_only_the_owner_reads(working: Home) -> None:
    """Whatever the umask of whoever enqueued it."""
    working.ended(working.enqueue("echo secret", umask="0000"))
    files = list((working.root / "output").rglob("*.out"))
    assert [stat_mode(file) for file in files] == [0o600]
    assert {stat_mode(file.parent) for file in files} == {0o700}


def too_large(home: Home) -> str:
    """Enqueue arguments and an environment that are within our limits, each.

    Together they are over what the kernel takes with the usual limit of the stack: a
    quarter of it, 2 MiB. See execve(2).
    """
    word = "x" * 100_000
    asked = {
        "command": ["true", *[word] * 20],
        "env": {f"V{n}": word for n in range(18)},
    }
    job: str = home.ask("enqueue", job=asked)["job"]["id"]
    return job


def stat_mode(path: Path) -> int:
    """Return the permissions of a file."""
    return path.stat().st_mode & 0o777
