"""What a job finds when it starts: directory, umask, environment, files, signals."""

import json
import signal
from pathlib import Path

import pytest

from helpers.home import Home

SHOW_ENV = ["env", "-0"]


@pytest.fixture
def working(home: Home) -> Home:
    """A home with a daemon that a client with a secret has started, and a worker."""
    home.ctl("worker", "start", SECRET="the daemon's")
    return home


def environ(home: Home, job: str) -> dict[str, str]:
    """Return the environment that a job of ``SHOW_ENV`` has printed."""
    assert home.ended(job)["state"] == "completed"
    variables = home.output(job).split("\0")[:-1]
    return dict(variable.split("=", 1) for variable in variables)


def test_a_job_inherits_directory_umask_and_environment(
    working: Home, tmp_path: Path
) -> None:
    """Of the command that enqueued it, however exotic."""
    place = tmp_path / "a dir\nwith ünusual name"
    place.mkdir()
    script = 'umask 027; exec queuectl enqueue "pwd; umask; touch made; env -0 >env"'
    done = working.run("-c", script, program="/bin/sh", cwd=place, ODD="a\nb=ü ")
    assert working.ended(done.stdout.strip())["state"] == "completed"
    assert working.output(done.stdout.strip()) == f"{place}\n0027\n"
    assert (place / "made").stat().st_mode & 0o777 == 0o640
    assert b"\0ODD=a\nb=\xc3\xbc \0" in b"\0" + (place / "env").read_bytes()


def test_what_describes_the_caller_alone_is_left_out(working: Home) -> None:
    """`_`, OLDPWD, SHLVL and the marks of a job the caller runs in."""
    of_caller = {
        "OLDPWD": "/",
        "SHLVL": "7",
        "QUEUECTL_JOB_ID": "outer",
        "QUEUECTL_ATTEMPT": "9",
        "QUEUECTL_LEASE": "outer:1",
        "KEPT": "1",
    }
    job = working.ctl("enqueue", "--", *SHOW_ENV, **of_caller)
    found = environ(working, job)
    assert found["KEPT"] == "1"
    assert not {"_", "OLDPWD", "SHLVL"} & found.keys()
    assert found["QUEUECTL_JOB_ID"] == job
    assert found["QUEUECTL_ATTEMPT"] == "1"
    assert found["QUEUECTL_SOCKET"] == str(working.socket)
    assert found["QUEUECTL_LEASE"] != "outer:1"


def test_clean_env_is_minimal(working: Home) -> None:
    """PATH and who it runs as; with --env, those variables too."""
    own = {"QUEUECTL_JOB_ID", "QUEUECTL_ATTEMPT", "QUEUECTL_SOCKET", "QUEUECTL_LEASE"}
    job = working.ctl("enqueue", "--clean-env", "--", *SHOW_ENV, NOISE="1")
    known = {"PATH", "HOME", "LOGNAME", "SHELL", "USER"}
    assert environ(working, job).keys() <= known | own
    given = ["--clean-env", "-e", "A=1", "-e", "NOISE"]
    job = working.ctl("enqueue", *given, "--", *SHOW_ENV, NOISE="x", OTHER="1")
    found = environ(working, job)
    assert (found["A"], found["NOISE"]) == ("1", "x")
    assert "PATH" in found
    assert "OTHER" not in found


def test_the_daemons_own_environment_reaches_no_job(working: Home) -> None:
    """Neither one that inherits another, nor one with a clean or no environment."""
    assert b"SECRET=" in Path(f"/proc/{working.daemon}/environ").read_bytes()
    jobs = [
        working.ctl("enqueue", "--", *SHOW_ENV),
        working.ctl("enqueue", "--clean-env", "--", *SHOW_ENV),
        working.ask("enqueue", job={"command": SHOW_ENV})["job"]["id"],
    ]
    for job in jobs:
        assert "SECRET" not in environ(working, job)
    (worker,) = working.workers()
    assert b"SECRET=" not in Path(f"/proc/{worker['pid']}/environ").read_bytes()


def test_jobs_with_different_environments_do_not_mix(working: Home) -> None:
    """A worker keeps an environment for the next job only if it is the same one."""
    jobs = [
        working.ctl("enqueue", "--", *SHOW_ENV, WHICH=str(number // 2))
        for number in range(4)
    ]
    jobs.insert(2, working.ctl("enqueue", "--clean-env", "--", *SHOW_ENV))
    found = [environ(working, job).get("WHICH") for job in jobs]
    assert found == ["0", "0", None, "1", "1"]


def test_a_job_can_enqueue_another_that_is_not_a_part_of_it(working: Home) -> None:
    """The inner one has its own marks, and outlives the end of the outer one."""
    working.ctl("worker", "start")
    gate = working.gate()
    inner = "env -0; echo >inner; read _ <gate"
    outer = working.enqueue(f"queuectl enqueue '{inner}'; exec queuectl status")
    assert working.ended(outer)["state"] == "completed"
    job = working.output(outer).split()[0]
    working.appears("inner")
    gate.open()
    found = environ(working, job)
    assert found["QUEUECTL_JOB_ID"] == job
    assert found["QUEUECTL_LEASE"].split(":")[1] != "1"
    assert working.reasons(job) == ["exit"]


def test_stdin_is_empty_and_nothing_else_is_open(working: Home) -> None:
    """A job that reads ends its reading at once; no file of the worker leaks."""
    job = working.enqueue("cat; readlink /proc/self/fd/0; exec ls -l /proc/self/fd")
    assert working.ended(job)["state"] == "completed"
    null, _total, *files = working.output(job).splitlines()
    assert null == "/dev/null"
    # The last one is the listing's own.
    assert [line.split()[-3] for line in files] == ["0", "1", "2", "3"]
    assert files[0].endswith("/dev/null")
    assert f"{working.root}/output/" in files[1]
    assert f"{working.root}/output/" in files[2]


def test_a_job_leads_a_session_and_has_every_signal(working: Home) -> None:
    """No terminal, nothing blocked, nothing ignored."""
    job = working.enqueue("cat /proc/$$/stat; exec grep ^Sig[BI] /proc/self/status")
    assert working.ended(job)["state"] == "completed"
    stat, *lines = working.output(job).splitlines()
    pid, rest = stat.split()[0], stat.rpartition(")")[2].split()
    assert rest[2:5] == [pid, pid, "0"]  # its group, its session, its terminal
    assert len(lines) == 2
    for line in lines:
        mask = int(line.split(":")[1], 16)
        # Two more are the C library's own, and posix_spawn ignores them.
        assert not [n for n in signal.valid_signals() if mask >> (n - 1) & 1], line


def test_an_exact_argv_loses_nothing(working: Home) -> None:
    """Words with spaces, quotes, newlines, bytes that are no text; no shell."""
    words = ["printf", "%s|", "a b", "'", '"', "$HOME", "*", "", "a\nb", "ü", "--"]
    job = working.ctl("enqueue", "--", *words)
    working.ended(job)
    assert working.output(job) == "".join(f"{word}|" for word in words[2:])


def test_a_job_without_cwd_and_umask_has_safe_ones(working: Home) -> None:
    """A client that lends nothing: / and 0022."""
    job = working.ask("enqueue", job={"command": "pwd; umask"})["job"]["id"]
    working.ended(job)
    assert working.output(job) == "/\n0022\n"


def test_a_directory_that_is_gone_is_the_clients_error(
    working: Home, tmp_path: Path
) -> None:
    """Nothing can be inherited from there, and it says so."""
    script = 'mkdir x && cd x && rmdir ../x && exec queuectl enqueue "$1"'
    command = json.dumps({"command": "true"})
    done = working.run("-c", script, "sh", command, program="/bin/sh", cwd=tmp_path)
    assert done.returncode == 1
    assert "current directory" in done.stderr
    assert list(tmp_path.iterdir()) == []
