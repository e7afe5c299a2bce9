"""Methods about settings, workers, counts and the daemon, against a real daemon."""

import os
import signal
from pathlib import Path
from typing import Any

import psutil

from helpers.daemon import Daemon, a_daemon
from helpers.rawclient import RawClient
from helpers.waiting import until
from queuectl_protocol.errors import ErrorCode
from queuectl_protocol.messages import Failure, Reply
from queuectld.core.settings import SETTINGS
from queuectld.server.dispatch import METHODS


def _enqueue(client: RawClient, command: str = "true", **fields: Any) -> dict[str, Any]:
    job: dict[str, Any] = client.call("enqueue", job={"command": command, **fields})[
        "job"
    ]
    return job


def test_settings_are_listed_set_and_unset(client: RawClient) -> None:
    """Keys take hyphens or underscores, values are numbers or written forms."""
    listed = client.call("config.list")["settings"]
    assert [each["key"] for each in listed] == list(SETTINGS)
    changed = client.call("config.set", key="kill-grace", value="2m")
    assert (changed["key"], changed["value"]) == ("kill_grace", 120)
    assert changed["is_default"] is False
    assert client.call("config.get", key="kill_grace") == changed
    assert client.call("config.unset", key="kill_grace")["is_default"] is True
    failure = client.refused("config.set", key="timeout", value=-1)
    assert failure.data == {"key": "timeout"}
    assert client.refused("config.get", key="x").code == ErrorCode.INVALID_PARAMS


def test_workers_are_started_listed_and_stopped(client: RawClient) -> None:
    """Each reply comes when the change is complete."""
    started = client.call("workers.start", count=2)
    assert started["wanted"] == 2
    assert [each["state"] for each in started["workers"]] == ["idle", "idle"]
    assert client.call("workers.list")["workers"] == started["workers"]
    assert client.call("workers.ensure", count=3) == {"workers": 3, "wanted": 3}
    one = started["workers"][0]
    stopped = client.call("workers.stop", workers=[one["worker"]])
    assert stopped == {"stopped": 1, "interrupted": 0}
    assert not psutil.pid_exists(one["pid"])
    assert client.call("workers.list")["wanted"] == 2
    assert client.call("workers.stop") == {"stopped": 2, "interrupted": 0}
    assert client.call("workers.list") == {"workers": [], "wanted": 0}
    assert client.refused("workers.start", count=257).data == {"param": "count"}


def test_bound_workers_end_with_their_connection(
    daemon: Daemon, client: RawClient
) -> None:
    """They finish their jobs, and do not count as wanted."""
    with daemon.connect() as other:
        started = other.call("workers.start", bound=True)
        assert (started["wanted"], started["workers"][0]["bound"]) == (0, True)
        job = _enqueue(client, "sleep 0.2")
        until(lambda: client.call("status")["processing"] == 1, "the job runs")
    until(lambda: not client.call("workers.list")["workers"], "the worker ended")
    assert client.call("get", id=job["id"])["job"]["state"] == "completed"


def test_a_client_that_vanishes_at_once_leaves_no_bound_worker(
    daemon: Daemon, client: RawClient
) -> None:
    """It leaves none even if it does not wait for the reply."""
    with daemon.connect() as other:
        other.greeting()
        other.send("workers.start", bound=True)
    until(lambda: client.call("daemon.status")["connections"] == 1, "it is gone")
    until(lambda: not client.call("workers.list")["workers"], "the worker ended")


def test_a_job_is_enqueued_though_the_client_is_gone(
    daemon: Daemon, client: RawClient
) -> None:
    """A request that reached the daemon is carried out, and a worker gets the job."""
    client.call("workers.start")
    with daemon.connect() as other:
        other.greeting()
        other.send("enqueue", job={"command": "true", "id": "orphan"})
    until(
        lambda: isinstance(client.end(client.send("get", id="orphan")), Reply),
        "the job is there",
    )
    assert client.call("wait", id="orphan")["job"]["state"] == "completed"


def test_status_counts(client: RawClient) -> None:
    """It counts jobs by state, and active and busy workers."""
    _enqueue(client)
    assert client.call("status") == {
        "pending": 1,
        "processing": 0,
        "completed": 0,
        "failed": 0,
        "dead": 0,
        "cancelled": 0,
        "workers": {"active": 0, "busy": 0},
        "draining": False,
        "trouble": None,
        "ready": 1,
        "delayed": 0,
    }


def test_status_tells_ready_from_delayed(client: RawClient) -> None:
    """Ready jobs wait for a worker, delayed ones for their time, as do retries."""

    def waiting() -> tuple[int, int]:
        status = client.call("status")
        return status["ready"], status["delayed"]

    assert waiting() == (0, 0)
    _enqueue(client, "true")
    _enqueue(client, "true", delay=3600, id="later")
    _enqueue(client, "exit 1", priority=1, backoff_base=1000, id="fails")
    assert waiting() == (2, 1)
    client.call("workers.start")
    until(lambda: client.call("status")["completed"] == 1, "one is done")
    assert (waiting(), client.call("status")["failed"]) == ((0, 2), 1)
    client.call("workers.stop")
    client.call("retry", id="fails")
    assert waiting() == (1, 1)
    for job_id in ("later", "fails"):
        client.call("cancel", id=job_id)
    assert waiting() == (0, 0)
    _enqueue(client, "true", delay=0.01)
    until(lambda: waiting() == (1, 0), "its time has come")
    assert not [
        check
        for check in client.call("doctor", deep=True)["checks"]
        if check["level"] == "error"
    ]


def test_statistics(client: RawClient) -> None:
    """They have counts, a rate, and spreads in seconds."""
    client.call("workers.start")
    job = _enqueue(client)
    client.call("wait", id=job["id"])
    stats = client.call("stats", since=3600)
    assert stats["completed"] >= 1
    assert 0 < stats["success_rate"] <= 1
    assert stats["run"]["count"] >= 1
    assert stats["run"]["p50"] <= stats["run"]["p99"]


def test_the_daemon_tells_who_it_is(daemon: Daemon, client: RawClient) -> None:
    """It tells the instance of the greeting, and plausible figures."""
    status = client.call("daemon.status")
    assert status["pid"] == daemon.process.pid
    assert status["instance"] == client.greeting()["instance"]
    assert (status["socket"], status["state_dir"]) == (
        str(daemon.socket),
        str(daemon.home),
    )
    assert status["connections"] == 1
    assert 10 * 1024**2 < status["rss"] < 200 * 1024**2
    assert 0 <= status["uptime"] < 3600


def test_doctor_looks_at_everything(client: RawClient) -> None:
    """Each check has a level, and each that is not OK has advice."""
    checks = client.call("doctor")["checks"]
    assert [check["name"] for check in checks] == [
        "sqlite",
        "file system",
        "space",
        "wal",
        "reach",
        "permissions",
        "trust",
        "descriptors",
        "workers",
    ]
    for check in checks:
        assert check["level"] in {"ok", "warning", "error"}
        assert check["detail"]
        assert check["level"] == "ok" or check["advice"]
    assert checks[4]["level"] == "ok", checks[4]


def test_describe_is_the_table(client: RawClient) -> None:
    """A client in any language can read what there is."""
    told = client.call("describe")
    assert [method["name"] for method in told["methods"]] == list(METHODS)


def test_stop_is_answered_and_then_done() -> None:
    """The client gets its reply before the daemon ends, and so do waiting requests."""
    with a_daemon() as daemon, daemon.connect() as client:
        job = _enqueue(client)
        wait = client.send("wait", id=job["id"])
        assert client.call("daemon.stop") == {}
        end = client.end(wait)
        assert isinstance(end, Failure)
        assert end.code == ErrorCode.SHUTTING_DOWN
        assert client.at_end()
        assert daemon.process.wait(10) == 0
        daemon.assert_nothing_left()


def test_restart_leaves_the_worker_to_finish(tmp_path: Path) -> None:
    """The next daemon has the result of a job that ran meanwhile."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    with a_daemon() as daemon:
        with daemon.connect() as client:
            client.call("workers.start")
            job = _enqueue(client, f"cat {gate}")
            until(lambda: client.call("status")["processing"] == 1, "the job runs")
            assert client.call("daemon.restart") == {}
            assert client.at_end()
        assert daemon.process.wait(10) == 0
        daemon.start()
        with daemon.connect() as client:
            with gate.open("wb"):
                pass
            done = client.call("wait", id=job["id"])["job"]
            assert (done["state"], done["attempts"]) == ("completed", 1)


def test_a_killed_daemons_socket_is_replaced() -> None:
    """The next one answers at the same path."""
    with a_daemon() as daemon:
        assert daemon.stop(signal.SIGKILL) == -signal.SIGKILL
        assert daemon.socket.exists()
        daemon.start()
        assert daemon.call("ping") == {}
