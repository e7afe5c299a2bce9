"""Limits of the memory and time that one client can take from the daemon."""

import resource
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psutil
import pytest

from helpers.daemon import Daemon, a_daemon
from helpers.rawclient import RawClient
from helpers.waiting import until
from queuectl import Client
from queuectl.cli.requests import job_details
from queuectl_protocol.errors import ErrorCode
from queuectl_protocol.limits import MAX_ARGV

MIB = 1024**2

LARGE = ["/bin/true", *["x" * 100_000] * 20]
"""A command of about the largest size that a job may have."""


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    """A daemon without workers."""
    with a_daemon() as daemon:
        yield daemon


def rss(daemon: Daemon) -> int:
    """Return the daemon's memory, in bytes, when it has done all earlier reads."""
    daemon.call("status")
    return int(daemon.call("daemon.status")["rss"])


def flood(client: RawClient, method: str, count: int, **params: Any) -> None:
    """Send a request many times, and read no reply."""
    for _ in range(count):
        client.wire.send_request(method, params)
    client.socket.sendall(client.wire.data_to_send())


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("get", {"env": True}),
        ("wait", {}),
        ("wait", {"timeout": 0}),
        ("logs.follow", {}),
    ],
)
def test_large_replies_that_nobody_reads_do_not_pile_up(
    daemon: Daemon, method: str, params: dict[str, Any]
) -> None:
    """Some kilobytes of requests do not make the daemon hold hundreds of megabytes."""
    env = {f"V{number}": "x" * 100_000 for number in range(18)}
    job = daemon.call("enqueue", job={"command": LARGE, "env": env})["job"]["id"]
    daemon.call("cancel", id=job)
    before = rss(daemon)
    with daemon.connect() as client:
        flood(client, method, 100, id=job, **params)
        assert rss(daemon) - before < 60 * MIB
        # They are all answered when they are read.
        for request in range(1, 101):
            assert client.result(request)["job"]["id"] == job


def test_a_large_job_is_cancelled_though_nobody_reads_of_it(daemon: Daemon) -> None:
    """Only the replies wait for the reader, and each is made in its turn."""
    batch = daemon.call("enqueue_many", jobs=[{}] * 8, defaults={"command": LARGE})
    with daemon.connect() as client:
        for job in batch["ids"]:
            client.wire.send_request("cancel", {"id": job})
        client.socket.sendall(client.wire.data_to_send())
        until(lambda: daemon.call("status")["cancelled"] == 8, "all are cancelled")


def test_a_job_that_is_accepted_can_be_listed(daemon: Daemon) -> None:
    """The largest command that is accepted fits into every reply."""
    word = "x" * 131_071
    words = ["/bin/true", *[word] * 15]
    words.append("y" * (MAX_ARGV - sum(map(len, words)) - len(words) - 1))
    job = daemon.call("enqueue", job={"command": words})["job"]
    assert job["command"] == words
    for _ in range(3):
        daemon.call("enqueue", job={"command": words})
    with daemon.connect() as client:
        page = client.call("list")
        while page["next"] is not None:
            page = client.call("list", before=page["next"])
        assert page["jobs"][-1] == job
        failure = client.refused("enqueue", job={"command": [*words, ""]})
        assert (failure.code, failure.data) == (
            ErrorCode.INVALID_PARAMS,
            {"field": "command"},
        )


def test_a_batch_cannot_store_more_than_it_sends_many_times_over(
    daemon: Daemon,
) -> None:
    """The size of its defaults counts for each job."""
    with daemon.connect() as client:
        jobs: list[dict[str, Any]] = [{}] * 10_000
        defaults = {"command": "x" * 131_071}
        failure = client.refused("enqueue_many", jobs=jobs, defaults=defaults)
        assert failure.data == {"param": "jobs"}
        assert client.call("status")["pending"] == 0


def test_a_job_of_many_attempts_is_told_in_parts(daemon: Daemon) -> None:
    """The clients join the parts."""
    job = daemon.call("enqueue", job={"command": "true"})["job"]["id"]
    daemon.stop()
    with closing(sqlite3.connect(daemon.home / "queuectl.db")) as database, database:
        database.executemany(
            "INSERT INTO attempts (job, run, lease, finished_at, reason) "
            "VALUES (?, ?, ?, 2, 'exit')",
            ((job, run, run) for run in range(1, 2501)),
        )
        database.execute("UPDATE jobs SET runs = 2500")
    daemon.start()
    with daemon.connect() as client:
        first = client.call("get", id=job)
        assert [each["run"] for each in first["attempts"]] == [*range(1501, 2501)]
        assert first["attempts_next"] == 1501
        last = client.call("get", id=job, attempts_before=501)
        assert [each["run"] for each in last["attempts"]] == [*range(1, 501)]
        assert last["attempts_next"] is None
        assert client.call("logs.read", id=job, stream="stdout")["run"] == 2500
        assert client.call("logs.read", id=job, stream="stdout", run=1)["run"] == 1
        message = client.refused("logs.read", id=job, stream="stdout", run=2501).message
        assert message.endswith("its last one is 2500")
    with Client(str(daemon.socket), autostart=False) as q:
        assert [each.run for each in q.attempts(job)] == [*range(1, 2501)]
        view = job_details.fetch(q, job)
        assert set(view) == {"job", "attempts"}
        assert [each["run"] for each in view["attempts"]] == [*range(1, 2501)]


def test_output_after_the_end_of_all_numbers_is_empty(daemon: Daemon) -> None:
    """No byte can be at an offset that the kernel refuses."""
    daemon.call("workers.start")
    job = daemon.call("enqueue", job={"command": "echo hi"})["job"]["id"]
    daemon.call("wait", id=job)
    last = 2**63 - 1
    piece = daemon.call("logs.read", id=job, stream="stdout", offset=last)
    assert (piece["data"], piece["offset"], piece["size"]) == (b"", last, 3)


def test_without_descriptors_the_log_does_not_fill(daemon: Daemon) -> None:
    """It is logged once, and clients are served when descriptors are free again."""
    process = psutil.Process(daemon.process.pid)
    _, hard = process.rlimit(resource.RLIMIT_NOFILE)
    process.rlimit(resource.RLIMIT_NOFILE, (process.num_fds() + 5, hard))
    clients = [daemon.connect() for _ in range(30)]
    until(lambda: b"clients_not_accepted" in daemon.log.read_bytes(), "it is told")
    process.rlimit(resource.RLIMIT_NOFILE, (hard, hard))
    # asyncio tries again after a second: what it has failed to do was told once.
    for client in clients:
        client.greeting()
        client.close()
    assert daemon.log.read_bytes().count(b"clients_not_accepted") == 1
    assert len(daemon.log.read_bytes()) < 10_000
