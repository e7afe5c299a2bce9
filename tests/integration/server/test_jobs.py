"""Methods that enqueue, list, change and await jobs, against a real daemon."""

import os
from itertools import count
from typing import Any

import pytest

from helpers.rawclient import RawClient
from helpers.waiting import until
from queuectl_protocol.errors import ErrorCode


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
