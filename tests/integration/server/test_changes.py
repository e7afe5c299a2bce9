"""Methods that change the course of jobs, one or many, against a real daemon."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers.daemon import Daemon
from helpers.home import Gate
from helpers.rawclient import RawClient
from helpers.waiting import until
from queuectl_protocol.errors import ErrorCode
from queuectl_protocol.limits import MAX_CHANGES

Map = dict[str, Any]

LONG = "x" * 20_000
"""Makes a reply with a job a large one."""

SLOWLY = {"backoff_base": 1000, "backoff_max": 1000}
"""Makes a retry wait longer than a test."""


@pytest.fixture
def gate(daemon: Daemon) -> Iterator[Gate]:
    """A FIFO at which a job waits until the test opens it."""
    path = daemon.home / "gate"
    gate = Gate(path)
    yield gate
    gate.close()
    path.unlink()


def stubborn(client: RawClient, daemon: Daemon, text: str = "") -> str:
    """Run a job that ends at SIGKILL or when its gate is opened, at no other signal."""
    client.call("config.set", key="kill_grace", value=600)
    client.call("workers.ensure")
    command = f"trap '' TERM; : {text}; read _ <{daemon.home}/gate"
    job = enqueue(client, command, max_retries=0)
    until(lambda: state(client, job) == "processing", "it runs")
    until(lambda: ignores_term(client, job), "it has set its trap")
    return job


def ignores_term(client: RawClient, job: str) -> bool:
    """Whether the job's shell waits at its gate, with its traps set."""
    (worker,) = [w for w in client.call("workers.list")["workers"] if w["job"] == job]
    children = Path(f"/proc/{worker['pid']}/task/{worker['pid']}/children")
    pids = children.read_text().split()
    status = [Path(f"/proc/{pid}/status").read_text() for pid in pids]
    ignored = [
        line for text in status for line in text.splitlines() if "SigIgn" in line
    ]
    return any(int(line.split()[1], 16) & 1 << 14 for line in ignored)


def enqueue(client: RawClient, command: str = "true", **fields: Any) -> str:
    """Add a job; return its id."""
    job_id: str = client.call("enqueue", job={"command": command, **fields})["job"][
        "id"
    ]
    return job_id


def state(client: RawClient, job: str) -> str:
    """Return the job's state."""
    found: str = client.call("get", id=job)["job"]["state"]
    return found


def told(results: list[Map]) -> list[str]:
    """Return each job's state, or why nothing was done."""
    return [
        each["job"]["state"] if each["error"] is None else each["error"]["code"]
        for each in results
    ]


# -- a cancel that waits -----------------------------------------------------------


def test_a_cancel_whose_client_is_gone_waits_no_longer(
    daemon: Daemon, client: RawClient, gate: Gate
) -> None:
    """The wait ends with the connection; the job is cancelled all the same."""
    job = stubborn(client, daemon)
    with daemon.connect() as other:
        other.send("cancel", id=job)
        other.send("cancel_many", ids=[job])
        until(
            lambda: client.call("get", id=job)["job"]["cancel_requested"],
            "the cancel is on disk",
        )
        assert client.call("daemon.status")["connections"] == 2
    until(
        lambda: client.call("daemon.status")["connections"] == 1,
        "its connection is over",
    )
    assert state(client, job) == "processing"
    gate.open()
    assert client.call("wait", id=job)["job"]["state"] == "cancelled"


def test_a_cancel_that_waits_holds_up_no_other_reply(
    daemon: Daemon, client: RawClient, gate: Gate
) -> None:
    """Not even one of the same connection, however long the cancelled command is."""
    other = enqueue(client, "true", delay=3600)
    job = stubborn(client, daemon, LONG)
    cancelling = client.send("cancel", id=job)
    assert client.call("get", id=other)["job"]["state"] == "pending"
    until(
        lambda: client.call("get", id=job)["job"]["cancel_requested"],
        "the cancel is on disk",
    )
    gate.open()
    cancelled = client.result(cancelling)["job"]
    assert (cancelled["state"], LONG in cancelled["command"]) == ("cancelled", True)


def test_a_long_job_is_told_whole_by_whatever_changes_it(client: RawClient) -> None:
    """The reply has its command, directory and label, though it waited for room."""
    job = enqueue(client, f": {LONG}", cwd="/tmp", label="long", delay=3600)
    for method, leads_to in (
        ("start", "pending"),
        ("cancel", "cancelled"),
        ("retry", "pending"),
    ):
        reply = client.call(method, id=job)["job"]
        assert reply == client.call("get", id=job)["job"]
        assert (reply["state"], reply["label"]) == (leads_to, "long")


# -- many --------------------------------------------------------------------------


def test_each_of_many_is_decided_by_itself(client: RawClient) -> None:
    """Results are in the order of the ids, and a bad id does not stop the others."""
    one, other = enqueue(client), enqueue(client)
    reply = client.call("cancel_many", ids=[one, "nope", other, one])
    assert [each["id"] for each in reply["results"]] == [one, "nope", other, one]
    assert told(reply["results"]) == [
        "cancelled",
        "not_found",
        "cancelled",
        "invalid_state",
    ]
    assert reply["results"][1] == {
        "id": "nope",
        "job": None,
        "error": {
            "code": "not_found",
            "message": "no job has the id 'nope'",
            "data": {"id": "nope"},
            "retryable": False,
        },
    }
    again = client.call("retry_many", ids=[one, other], if_state="dead")
    assert told(again["results"]) == ["invalid_state"] * 2
    again = client.call("retry_many", ids=[one, other])
    assert told(again["results"]) == ["pending"] * 2


def test_many_that_run_are_waited_for_together(
    daemon: Daemon, client: RawClient, gate: Gate
) -> None:
    """A worker that one of them frees does not start another of them."""
    running = stubborn(client, daemon)
    waits = [enqueue(client) for _ in range(20)]
    cancelling = client.send("cancel_many", ids=[running, *waits])
    until(lambda: state(client, waits[-1]) == "cancelled", "they are cancelled")
    assert state(client, running) == "processing"
    gate.open()
    results = client.result(cancelling)["results"]
    assert told(results) == ["cancelled"] * 21
    assert [each["job"]["runs"] for each in results] == [1] + [0] * 20


def test_the_reply_about_many_is_small_however_long_their_commands(
    client: RawClient,
) -> None:
    """Eighty such commands would not fit into a frame."""
    ids = [enqueue(client, ": " + "x" * 120_000, delay=3600) for _ in range(80)]
    for method, leads_to in (
        ("start_many", "pending"),
        ("cancel_many", "cancelled"),
        ("retry_many", "pending"),
        ("cancel_many", "cancelled"),
        ("delete_many", "cancelled"),
    ):
        assert told(client.call(method, ids=ids)["results"]) == [leads_to] * 80


@pytest.mark.parametrize(
    "method", ["cancel_many", "retry_many", "start_many", "delete_many"]
)
def test_the_number_of_ids_is_bounded(client: RawClient, method: str) -> None:
    """So is the reply, even with the longest ids and messages."""
    longest = "\N{GRINNING FACE}" * 128
    reply = client.call(method, ids=[longest] * MAX_CHANGES)
    assert told(reply["results"]) == ["not_found"] * MAX_CHANGES
    for wrong in ([], ["a"] * (MAX_CHANGES + 1), "a"):
        failure = client.refused(method, ids=wrong)
        assert failure.code == ErrorCode.INVALID_PARAMS
        assert failure.data == {"param": "ids"}
    for wrong in (["a", ""], ["a", 7]):
        failure = client.refused(method, ids=wrong)
        assert failure.code == ErrorCode.INVALID_PARAMS
        assert failure.data == {"param": "ids", "index": 1}


# -- start -------------------------------------------------------------------------


def test_start_makes_a_job_due_and_keeps_its_budget(client: RawClient) -> None:
    """It starts a job for later, and one that waits for its retry."""
    client.call("workers.ensure")
    late = enqueue(client, delay=3600)
    reply = client.call("start", id=late)["job"]
    assert (reply["id"], reply["state"]) == (late, "pending")
    assert client.call("wait", id=late)["job"]["state"] == "completed"
    fails = enqueue(client, "exit 1", max_retries=1, **SLOWLY)
    until(lambda: state(client, fails) == "failed", "it has failed once")
    reply = client.call("start", id=fails)["job"]
    assert (reply["state"], reply["attempts"]) == ("failed", 1)
    ended = client.call("wait", id=fails)["job"]
    assert (ended["state"], ended["runs"]) == ("dead", 2)


def test_what_does_not_wait_for_its_time_is_not_started(client: RawClient) -> None:
    """The message says what to do instead."""
    due, late = enqueue(client), enqueue(client, delay=3600)
    failure = client.refused("start", id=due)
    assert failure.code == ErrorCode.INVALID_STATE
    assert failure.message.endswith("is queued already; there is nothing to start")
    client.call("cancel", id=due)
    assert client.refused("start", id=due).message.endswith(f"queuectl retry {due}")
    failure = client.refused("retry", id=late)
    assert failure.message.endswith(f"to have it start now: queuectl start {late}")
    assert client.refused("start", id="nope").code == ErrorCode.NOT_FOUND
    assert (
        client.refused("start", id=late, if_state="failed").data["state"] == "pending"
    )


# -- delete ------------------------------------------------------------------------


def test_delete_forgets_a_job_with_its_output(
    daemon: Daemon, client: RawClient
) -> None:
    """Its attempts and its id go too; other jobs stay."""
    client.call("workers.ensure")
    gone, stays = (enqueue(client, "echo x", id=name) for name in ("gone", "stays"))
    for job in (gone, stays):
        client.call("wait", id=job)
    assert files(daemon) == 2
    assert client.call("delete", id=gone)["job"]["state"] == "completed"
    assert client.refused("get", id=gone).code == ErrorCode.NOT_FOUND
    assert client.refused("delete", id=gone).code == ErrorCode.NOT_FOUND
    assert files(daemon) == 1
    assert client.call("get", id=stays)["attempts"][0]["reason"] == "exit"
    assert enqueue(client, id=gone) == gone


def test_delete_refuses_what_is_not_over(
    daemon: Daemon, client: RawClient, gate: Gate
) -> None:
    """The message says how to end it."""
    late, running = enqueue(client, delay=3600), stubborn(client, daemon)
    failure = client.refused("delete", id=late)
    assert failure.code == ErrorCode.INVALID_STATE
    assert failure.message == (
        f"job {late} still waits; cancel it first: queuectl cancel {late}"
    )
    assert "still runs" in client.refused("delete", id=running).message
    results = client.call("delete_many", ids=[late, running])["results"]
    assert told(results) == ["invalid_state"] * 2
    gate.open()
    client.call("wait", id=running)


def files(daemon: Daemon) -> int:
    """Return how many files hold output; empty ones may be left for the next run."""
    found = (daemon.home / "output").rglob("*.*.*")
    return sum(file.stat().st_size > 0 for file in found)
