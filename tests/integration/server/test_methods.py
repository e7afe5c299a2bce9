"""Every method that is not about output, against a real daemon."""

import os
import signal
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import psutil
import pytest

from helpers.daemon import Daemon, a_daemon
from helpers.rawclient import RawClient
from helpers.waiting import until
from queuectl_protocol.errors import ErrorCode
from queuectl_protocol.messages import Failure, Reply
from queuectld.core.settings import SETTINGS
from queuectld.server.dispatch import METHODS


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """A daemon without workers, for all tests of the file."""
    with a_daemon() as daemon:
        yield daemon


@pytest.fixture
def client(daemon: Daemon) -> Iterator[RawClient]:
    """A connection of the test's own; its workers are stopped, its jobs deleted."""
    with daemon.connect() as client:
        yield client
        client.call("workers.stop", now=True)
        for job_id in _listed(client, state="pending")[0]:
            client.call("cancel", id=job_id)
        client.call("prune", states=["completed", "cancelled", "dead"])


def _enqueue(client: RawClient, command: str = "true", **fields: Any) -> dict[str, Any]:
    job: dict[str, Any] = client.call("enqueue", job={"command": command, **fields})[
        "job"
    ]
    return job


def _listed(client: RawClient, **params: Any) -> tuple[list[str], int]:
    """Return the ids of a whole listing, and how many pages it took."""
    ids: list[str] = []
    page = client.call("list", **params)
    for pages in count(1):
        ids += [job["id"] for job in page["jobs"]]
        if page["next"] is None:
            return ids, pages
        page = client.call("list", before=page["next"], **params)
    raise AssertionError


def test_enqueue_answers_with_the_job(client: RawClient) -> None:
    """Fields that were not given come from the settings; the submitter is known."""
    reply = client.call("enqueue", job={"command": ["echo", "a b"], "priority": 5})
    job = reply["job"]
    assert (reply["created"], reply["workers"]) == (True, 0)
    assert (job["command"], job["priority"]) == (["echo", "a b"], 5)
    assert (job["state"], job["max_retries"], job["timeout"]) == ("pending", 3, 300)
    assert job["submitter"] == os.getuid()
    view = {"job": job, "attempts": [], "attempts_next": None}
    assert client.call("get", id=job["id"]) == view


def test_an_environment_is_told_when_asked_for(client: RawClient) -> None:
    """It may hold secrets, so it is told only then."""
    job = _enqueue(client, env={"TOKEN": "secret"})
    assert "env" not in job
    assert "env" not in client.call("get", id=job["id"])["job"]
    assert client.call("get", id=job["id"], env=True)["job"]["env"] == {
        "TOKEN": "secret"
    }


def test_bytes_that_are_not_text_come_back_as_they_were(client: RawClient) -> None:
    """A file name is bytes, also in a command."""
    job = _enqueue(client, "cat f\udcff")
    assert client.call("get", id=job["id"])["job"]["command"] == "cat f\udcff"


def test_a_taken_id_is_refused_or_returned(client: RawClient) -> None:
    """``if_exists`` decides; the error names what is different."""
    _enqueue(client, id="one")
    job = {"command": "true", "id": "one"}
    assert client.refused("enqueue", job=job).code == ErrorCode.ALREADY_EXISTS
    assert client.call("enqueue", job=job, if_exists="return")["created"] is False
    job["command"] = "false"
    failure = client.refused("enqueue", job=job, if_exists="return")
    assert failure.code == ErrorCode.CONFLICT
    assert failure.data == {"id": "one"}  # in a batch, with its index
    job["command"] = "true"
    failure = client.refused("enqueue_many", jobs=[{"command": "x"}, job])
    assert failure.data == {"id": "one", "index": 1}


def test_a_batch_shares_its_defaults(client: RawClient) -> None:
    """A job's own fields have precedence."""
    reply = client.call(
        "enqueue_many",
        jobs=[{"command": "a"}, {"command": "b", "priority": 1, "cwd": "/tmp"}],
        defaults={"cwd": "/usr", "env": {"A": "1"}},
    )
    first, second = (
        client.call("get", id=each, env=True)["job"] for each in reply["ids"]
    )
    assert reply["created"] == 2
    assert (first["cwd"], first["env"]) == ("/usr", {"A": "1"})
    assert (second["cwd"], second["env"]) == ("/tmp", {"A": "1"})
    assert second["priority"] == 1


@pytest.mark.parametrize(
    ("jobs", "data"),
    [
        ([{"command": "a"}, {"command": "b", "x": 1}], {"field": "x", "index": 1}),
        ([{"command": "a"}, {}], {"field": "command", "index": 1}),
        ([{"command": "a"}, {"command": ""}], {"field": "command", "index": 1}),
        ([{"command": "a"}, "b"], {"param": "jobs", "index": 1}),
        ([{"command": "a"}, None], {"param": "jobs", "index": 1}),
    ],
)
def test_a_batch_with_one_bad_job_is_no_batch(
    client: RawClient, jobs: list[dict[str, Any]], data: dict[str, Any]
) -> None:
    """No job is added, and the error has the index of the first bad one."""
    failure = client.refused("enqueue_many", jobs=jobs)
    assert (failure.code, failure.data) == (ErrorCode.INVALID_PARAMS, data)
    assert client.call("status")["pending"] == 0


def test_bad_defaults_are_refused_once(client: RawClient) -> None:
    """The error has no index, as it is not about one job."""
    failure = client.refused(
        "enqueue_many", jobs=[{"command": "a"}], defaults={"cwd": "here"}
    )
    assert failure.data == {"field": "cwd"}


def test_a_batch_over_the_limit_is_refused(client: RawClient) -> None:
    """The message has the size and the limit."""
    failure = client.refused("enqueue_many", jobs=[{"command": "a"}] * 10_001)
    assert failure.code == ErrorCode.INVALID_PARAMS
    assert failure.message == "jobs has 10001 items, and max_batch is 10000; send less"


def test_a_listing_is_read_page_by_page(client: RawClient) -> None:
    """Newest jobs come first, each once, and ``next`` is null at the end."""
    ids = client.call("enqueue_many", jobs=[{"command": "a"}] * 250)["ids"]
    assert _listed(client, limit=120) == (ids[::-1], 3)


def test_a_page_of_huge_jobs_fits_into_a_frame(client: RawClient) -> None:
    """It is shorter than asked for, and the listing is complete all the same."""
    jobs = [{"command": "#" + "x" * 130_000}] * 40
    ids = [*client.call("enqueue_many", jobs=jobs)["ids"]]
    ids += client.call("enqueue_many", jobs=jobs)["ids"]
    seen, pages = _listed(client, limit=1000)
    assert seen == ids[::-1]
    assert pages > 1


def test_a_listing_by_state(client: RawClient) -> None:
    """Only jobs in that state; a bad state is refused with the good ones."""
    job = _enqueue(client)
    assert client.call("list", state="dead")["jobs"] == []
    assert client.call("list", state="pending")["jobs"] == [job]
    assert client.call("list", states=["dead", "pending"])["jobs"] == [job]
    assert client.call("list", states=["dead", "failed"])["jobs"] == []
    for bad in ([], ["done"], "dead"):
        assert client.refused("list", states=bad).data["param"] == "states"
    both = client.refused("list", state="dead", states=["dead"])
    assert both.data == {"param": "states"}
    failure = client.refused("list", state="done")
    assert failure.message.startswith("state is one of: pending, processing,")
    assert client.call("list", limit=5000)["jobs"] == [job]  # max_page or less


def test_cancel_and_retry(client: RawClient) -> None:
    """A job is cancelled and queued again; ``if_state`` guards both."""
    job = _enqueue(client)
    failure = client.refused("cancel", id=job["id"], if_state="processing")
    assert failure.code == ErrorCode.INVALID_STATE
    assert failure.data == {"id": job["id"], "state": "pending"}
    assert client.call("cancel", id=job["id"])["job"]["state"] == "cancelled"
    assert client.refused("cancel", id=job["id"]).code == ErrorCode.INVALID_STATE
    assert client.call("retry", id=job["id"])["job"]["state"] == "pending"
    assert client.refused("retry", id=job["id"]).code == ErrorCode.INVALID_STATE
    assert client.refused("retry", id="x").code == ErrorCode.NOT_FOUND


def test_cancel_replies_when_the_processes_are_gone(client: RawClient) -> None:
    """It waits even for a job that ignores SIGTERM."""
    client.call("config.set", key="kill_grace", value=0.1)
    client.call("workers.start")
    job = _enqueue(client, "trap '' TERM; sleep 1000 & wait; sleep 1000")
    until(lambda: client.call("status")["processing"] == 1, "the job runs")
    cancelled = client.call("cancel", id=job["id"])["job"]
    assert (cancelled["state"], cancelled["reason"]) == ("cancelled", "cancelled")
    client.call("config.unset", key="kill_grace")


def test_retry_all_and_prune(client: RawClient) -> None:
    """Both tell how many, and the ids of pruned jobs are free."""
    for name in ("a", "b"):
        _enqueue(client, id=name)
        client.call("cancel", id=name)
    assert client.call("retry_all", state="cancelled") == {
        "retried": 2,
        "skipped": 0,
    }
    assert client.refused("retry_all", state="pending").data == {"param": "state"}
    client.call("cancel", id="a")
    assert client.call("prune", older_than=3600) == {"pruned": 0}
    assert client.call("prune") == {"pruned": 1}
    assert client.refused("get", id="a").code == ErrorCode.NOT_FOUND
    assert client.call("get", id="b")["job"]["state"] == "pending"


def test_wait_replies_at_the_end(client: RawClient) -> None:
    """Many requests of one connection may wait for one job; all are answered."""
    job = _enqueue(client)
    waits = [client.send("wait", id=job["id"]) for _ in range(500)]
    assert client.call("ping") == {}
    client.call("cancel", id=job["id"])
    states = {client.result(each)["job"]["state"] for each in waits}
    assert states == {"cancelled"}
    assert client.call("wait", id=job["id"])["timed_out"] is False


def test_wait_has_an_end_of_its_own(client: RawClient) -> None:
    """The reply says that the time is up, and has the job's state."""
    job = _enqueue(client)
    reply = client.call("wait", id=job["id"], timeout=0.05)
    assert (reply["timed_out"], reply["job"]["state"]) == (True, "pending")
    assert client.refused("wait", id="x").code == ErrorCode.NOT_FOUND


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
