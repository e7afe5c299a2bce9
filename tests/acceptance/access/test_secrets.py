"""What a job's environment holds is told to nobody, and lies open to nobody."""

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers.home import Home, a_home
from helpers.waiting import until
from queuectl_protocol import packing

CANARY = "canary-7f3a91"
"""What nobody may ever see."""

ENV = {"TOKEN": CANARY, "PATH": "/usr/bin:/bin"}

DATABASE = ("queuectl.db", "queuectl.db-wal", "queuectl.db-shm")
"""Where environments are kept, on purpose."""

ENDS = {
    "ends well": {"command": "exit 0"},
    "fails": {"command": "exit 3", "max_retries": 0},
    "is retried": {"command": "exit 3", "max_retries": 1, "backoff_max": 0},
    "is killed": {"command": "kill -9 $$", "max_retries": 0},
    "takes too long": {"command": "sleep 60", "timeout": 0.1, "max_retries": 0},
    "writes too much": {"command": "yes", "output_limit": 1000, "max_retries": 0},
    "is no program": {"command": ["/no/such/program"], "max_retries": 0},
    "has no directory": {"command": "true", "cwd": "/no/such", "max_retries": 0},
    "has too much": {
        "command": ["true", *["x" * 100_000] * 5],
        "env": {**ENV, **{f"LONG{n}": CANARY * 9000 for n in range(15)}},
        "max_retries": 0,
    },
}

MISTAKES: dict[str, Any] = {
    "a NUL": {"TOKEN": f"{CANARY}\0"},
    "no string": {"TOKEN": [CANARY]},
    "no map": CANARY,
    "a list": [f"TOKEN={CANARY}"],
    "a nameless one": {"": CANARY},
    "a name with =": {"TOKEN=": CANARY},
    "too much": {"TOKEN": CANARY * 200_000},
}


@pytest.fixture
def talkative(home: Home) -> Home:
    """A home with a daemon that logs all it can, was started carelessly, and works."""
    verbose = {"QUEUECTLD_LOG_LEVEL": "debug", "TOKEN": CANARY}
    started = home.run("daemon", "start", umask=0, **verbose)
    assert started.returncode == 0, started.stderr
    home.ask("workers.start", count=2)
    return home


def told(home: Home) -> dict[str, bytes]:
    """Return what lies in the home's files, but for the database's."""
    files = (file for file in home.root.rglob("*") if file.is_file())
    return {str(f): f.read_bytes() for f in files if f.name not in DATABASE}


def assert_untold(texts: dict[str, bytes]) -> None:
    assert [name for name, text in texts.items() if CANARY.encode() in text] == []


def test_no_way_a_job_ends_tells_its_environment(talkative: Home) -> None:
    """Neither reply, nor log, nor any file but the database has it."""
    replies: dict[str, Any] = {}
    with talkative.connect() as client:
        for name, fields in ENDS.items():
            job = {"env": ENV, "label": name, **fields}
            replies[f"enqueue: {name}"] = made = client.call("enqueue", job=job)
            job_id = made["job"]["id"]
            replies[f"wait: {name}"] = client.call("wait", id=job_id, timeout=20)
            replies[f"get: {name}"] = client.call("get", id=job_id)
            assert replies[f"wait: {name}"]["timed_out"] is False
        for method in ("list", "status", "stats", "doctor", "daemon.status"):
            replies[method] = client.call(method)
        for method in ("workers.list", "config.list", "describe"):
            replies[method] = client.call(method)
        assert client.call("get", id=job_id, env=True)["job"]["env"]["TOKEN"] == CANARY
    reasons = {job["reason"] for job in replies["list"]["jobs"]}
    assert reasons >= {"exit", "signal", "timeout", "output_limit", "spawn_error"}
    assert_untold({name: packing.pack(reply) for name, reply in replies.items()})
    assert_untold(told(talkative))
    assert "worker_ready" in talkative.log()  # it logs at level debug
    assert any(
        CANARY.encode() in (talkative.root / name).read_bytes() for name in DATABASE
    )


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("method", ["enqueue", "enqueue_many", "defaults"])
def test_a_bad_environment_is_not_quoted(
    secretive: Home, method: str, mistake: str
) -> None:
    """The failure names the field, at most the variable, and never a value."""
    job = {"command": "true", "env": MISTAKES[mistake]}
    params: dict[str, Any] = {
        "enqueue": {"job": job},
        "enqueue_many": {"jobs": [job]},
        "defaults": {"jobs": [{"command": "true"}], "defaults": job},
    }[method]
    with secretive.connect() as client:
        failure = client.refused(
            "enqueue" if method == "enqueue" else "enqueue_many", **params
        )
    assert failure.code == "invalid_params"
    assert failure.data is not None
    assert failure.data["field"] == "env"
    assert CANARY not in f"{failure.message}{failure.data}"
    assert_untold(told(secretive))


@pytest.fixture(scope="module")
def secretive() -> Iterator[Home]:
    """A daemon without workers, for all who are refused."""
    with a_home() as home:
        started = home.run("daemon", "start", QUEUECTLD_LOG_LEVEL="debug")
        assert started.returncode == 0, started.stderr
        yield home


def test_no_command_prints_an_environment_unasked(talkative: Home) -> None:
    """Neither for people nor as JSON, neither of a good job nor of a bad one."""
    job = f'{{"id": "typed", "command": "exit 1", "env": {{"TOKEN": "{CANARY}"}}}}'
    said: dict[str, bytes] = {}
    for line in (
        ("enqueue", job),
        ("enqueue", "--id", "other", "--env", f"TOKEN={CANARY}", "exit 1"),
        ("enqueue", "--id", "inherits", "--max-retries", "0", "exit 1"),
        ("wait", "inherits"),
        ("list",),
        ("list", "--json"),
        ("show", "inherits"),
        ("show", "--json", "inherits"),
        ("dlq", "list"),
        ("dlq", "show", "inherits"),
        ("status",),
        ("stats",),
        ("doctor",),
        ("doctor", "--json"),
        ("daemon", "status"),
        ("daemon", "logs"),
        ("worker", "list"),
        ("config", "list"),
        ("rpc", "get", '{"id": "inherits"}'),
        ("run", "exit 1"),
        ("enqueue", job),  # the id is taken
        ("enqueue", job[:-3]),  # no JSON
        ("enqueue", job.replace('"}}', '\\u0000"}}')),
        ("enqueue", "--env", f"={CANARY}", "true"),
        ("rpc", "enqueue", f'{{"job": {{"command": "true", "env": "{CANARY}"}}}}'),
    ):
        done = talkative.run(*line, TOKEN=CANARY)
        said[" ".join(line)[:60]] = (done.stdout + done.stderr).encode()
    assert_untold(said)
    shown = talkative.run("show", "--env", "--json", "inherits")
    assert json.loads(shown.stdout)["job"]["env"]["TOKEN"] == CANARY


def test_a_result_that_waits_for_a_daemon_has_no_environment(talkative: Home) -> None:
    """Records and spool of workers whose daemon died are as silent."""
    gate = talkative.gate()
    job = talkative.enqueue("read _ <gate", env=ENV)
    talkative.until_state(job, "processing")
    assert_untold(told(talkative))
    talkative.kill(talkative.daemon)
    gate.open()
    spool = talkative.root / "spool"
    until(lambda: list(spool.glob("*.json")), "the result is in the spool")
    until(talkative.gone, "its worker has left")
    assert_untold(told(talkative))
    assert_private(talkative.root)
    talkative.ctl("daemon", "start")
    assert talkative.ended(job)["state"] == "completed"


def test_whatever_the_umask_all_files_are_the_owners_alone(talkative: Home) -> None:
    """Database, output, records, log, lock and socket: nothing for group or others."""
    done = talkative.enqueue("echo out; echo err >&2", env=ENV, umask="0000")
    assert talkative.ended(done)["state"] == "completed"
    assert_private(talkative.root)
    kinds = {path.suffix for path in talkative.root.rglob("*")}
    assert kinds >= {".db", ".out", ".err", ".json", ".log", ".sock"}


def assert_private(root: Path) -> None:
    """Whatever the daemon made is closed to group and others."""
    ours = [
        path for path in root.rglob("*") if path.relative_to(root).parts[0] != "work"
    ]
    wide = {
        str(path): oct(mode)
        for path in ours
        if (mode := stat.S_IMODE(path.lstat().st_mode)) & 0o077
    }
    assert wide == {}
    assert ours
