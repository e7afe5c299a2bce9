"""The typed methods of the blocking client against a scripted daemon."""

import os
import subprocess
import sys
from typing import Any

import pytest

from helpers.stub_daemon import Peer, Serve, answering
from queuectl import errors
from queuectl.sync.client import Client
from queuectl_protocol.errors import ErrorCode
from queuectl_protocol.messages import Request


@pytest.mark.parametrize(("uid", "lent"), [(0, True), (1, False)])
def test_a_job_inherits_only_from_its_own_user(
    serve: Serve, uid: int, lent: bool
) -> None:
    """The daemon's greeting tells who runs the job."""
    seen: list[dict[str, Any]] = []

    def enqueue(peer: Peer, request: Request) -> None:
        seen.append(request.params["job"])
        peer.fail(request, ErrorCode.QUEUE_FULL)

    daemon = serve(answering({"enqueue": enqueue}, uid=os.geteuid() + uid))
    with Client(daemon.path) as q:
        for inherit in (True, False):
            with pytest.raises(errors.QueueFullError):
                q.enqueue("true", label="x", inherit=inherit)
    assert ("cwd" in seen[0] and "env" in seen[0]) is lent
    assert seen[1] == {"command": "true", "label": "x"}


class Storing:
    """A script that stores batches, but for the one with a job named bad."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.script = answering({"enqueue_many": self._store})

    def _store(self, peer: Peer, request: Request) -> None:
        jobs = request.params["jobs"]
        self.sizes.append(len(jobs))
        for index, job in enumerate(jobs):
            if job["command"] == "bad":
                peer.fail(request, ErrorCode.INVALID_PARAMS, "no", {"index": index})
                return
        peer.reply(request, {"ids": [job["command"] for job in jobs]})


def test_any_number_of_jobs_can_be_enqueued(serve: Serve) -> None:
    """In batches; the ids are in the order of the jobs."""
    storing = Storing()
    daemon = serve(storing.script)
    commands = [str(n) for n in range(2500)]
    with Client(daemon.path) as q:
        assert q.enqueue_many(iter(commands), inherit=False) == commands
    assert storing.sizes == [1000, 1000, 500]


def test_nothing_is_sent_after_a_refused_batch(serve: Serve) -> None:
    """What is stored is a beginning of the jobs, and the error says which."""
    storing = Storing()
    daemon = serve(storing.script)
    commands = [str(n) for n in range(3500)]
    commands[1234] = "bad"
    with Client(daemon.path) as q:
        with pytest.raises(errors.InvalidParamsError) as caught:
            q.enqueue_many(commands, inherit=False)
        assert caught.value.data == {"index": 1234, "ids": commands[:1000]}
        assert storing.sizes == [1000, 1000]
        assert q.enqueue_many(commands[:3], inherit=False) == commands[:3]


def test_a_listing_fetches_pages_as_they_are_needed(serve: Serve) -> None:
    """Whoever wants three jobs does not pay for a million."""
    asked: list[dict[str, Any]] = []

    def page(peer: Peer, request: Request) -> None:
        asked.append(request.params)
        before = request.params.get("before", 100)
        count = min(request.params["limit"], 2)
        jobs = [_job(str(before - n)) for n in range(1, count + 1)]
        peer.reply(request, {"jobs": jobs, "next": before - count})

    daemon = serve(answering({"list": page}))
    with Client(daemon.path) as q:
        jobs = q.list("dead")
        assert [next(jobs).id for _ in range(3)] == ["99", "98", "97"]
        assert len(asked) == 2
        assert [job.id for job in q.dlq.list(limit=3)] == ["99", "98", "97"]


def _job(job_id: str) -> dict[str, Any]:
    moment = "2026-12-01T10:00:00.000Z"
    return {
        "id": job_id,
        "command": "x",
        "state": "dead",
        "attempts": 4,
        "max_retries": 3,
        "created_at": moment,
        "updated_at": moment,
        "priority": 0,
        "timeout": 0,
        "queue": "default",
        "runs": 4,
    }


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        (
            "queuectl",
            {"queuectl.sync.client", "queuectl_protocol", "socket", "msgpack"},
        ),
        (
            "queuectl.sync.client",
            {"asyncio", "subprocess", "queuectl.models", "pathlib", "tempfile"},
        ),
    ],
)
def test_importing_the_client_is_cheap(module: str, unwanted: set[str]) -> None:
    """A command pays for nothing that it does not use."""
    code = f"import {module}, sys; print(*sys.modules)"
    output = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
    ).stdout
    assert not unwanted & set(output.split())
