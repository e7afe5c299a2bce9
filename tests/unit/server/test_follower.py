"""Following a job whose id or file another job gets meanwhile."""

import asyncio
import os
from pathlib import Path
from typing import Any, cast

import pytest

from helpers.asynchronous import asynchronous
from helpers.jobs import a_job
from queuectl_protocol.vocabulary import Reason
from queuectld.core.errors import JobNotFoundError
from queuectld.core.job import Attempt, AttemptEnd
from queuectld.host.thread_pool import ThreadPool
from queuectld.linux.inotify import Watcher
from queuectld.operations.lookups import Look
from queuectld.server.call import EventSender
from queuectld.server.output.follower import Follower
from queuectld.workers.shared import outputs
from queuectld.workers.shared.outputs import Stream as Which


class Renamed:
    """A broker whose job was pruned, and whose id another job has now."""

    async def read(self, _lookup: object, _job_id: str, *, after: int | None) -> Look:
        """Return the other job."""
        del after
        return Look(JOB._replace(seq=JOB.seq + 1), None)


JOB = a_job()
ATTEMPT = Attempt(run=1, lease=1, worker=1, started_at=1, end=None)


@asynchronous
async def test_the_output_of_another_job_is_never_sent() -> None:
    """It may be another user's; the follower learns that its job is gone."""
    changed = asyncio.Event()
    changed.set()
    follower = Follower(
        JOB.id,
        JOB.seq,
        EventSender(1, cast("Any", None)),
        changed,
        broker=cast("Any", Renamed()),
        files=Watcher(),
        readers=ThreadPool("reading", 1),
        output_dir="/nowhere",
        which=tuple(Which),
    )
    with pytest.raises(JobNotFoundError):
        await follower.follow(run=None, tail=None)


class Ending:
    """A broker whose job ends, with four bytes written, when the test says so."""

    def __init__(self) -> None:
        self.attempt = ATTEMPT

    async def read(self, _lookup: object, _job_id: str, *, after: int | None) -> Look:
        """Return the job and its only attempt."""
        del after
        return Look(JOB, self.attempt)

    def end(self) -> None:
        """End the attempt."""
        end = AttemptEnd(
            lease=ATTEMPT.lease,
            started_at=1,
            finished_at=2,
            reason=Reason.EXIT,
            exit_code=0,
            stdout_bytes=4,
        )
        self.attempt = ATTEMPT._replace(end=end)


class Reading:
    """A client that reads on and on, and calls a function after ``ENOUGH`` events."""

    def __init__(self, then: Any) -> None:
        self.events: list[dict[str, Any]] = []
        self._then = then

    async def drained(self) -> None:
        """Take the next event."""

    def event(self, _sub: int, _seq: int, body: dict[str, Any]) -> None:
        """Count an event."""
        self.events.append(body)
        assert len(self.events) < 2 * ENOUGH, "it goes on for ever"
        if len(self.events) == ENOUGH:
            self._then()


ENOUGH = 20
ENDLESS = 1 << 36
"""Bytes of a sparse file."""


def _endless_output(output_dir: Path) -> None:
    """Make the attempt's stdout file."""
    path = outputs.path(
        str(output_dir), JOB.seq, ATTEMPT.run, ATTEMPT.lease, Which.STDOUT
    )
    Path(path).parent.mkdir()
    Path(path).touch()
    os.truncate(path, ENDLESS)


@asynchronous
async def test_a_file_that_grows_on_is_left_at_the_end_of_its_run(
    tmp_path: Path,
) -> None:
    """A process that goes on writing does not keep the follower from its end."""
    broker, changed = Ending(), asyncio.Event()

    def end() -> None:
        broker.end()
        changed.set()

    client = Reading(end)
    _endless_output(tmp_path)
    files = Watcher()
    follower = Follower(
        JOB.id,
        JOB.seq,
        EventSender(1, cast("Any", client)),
        changed,
        broker=cast("Any", broker),
        files=files,
        readers=ThreadPool("reading", 1),
        output_dir=str(tmp_path),
        which=(Which.STDOUT,),
    )
    await follower.follow(run=1, tail=None)
    files.close()
    assert len(client.events) == ENOUGH
