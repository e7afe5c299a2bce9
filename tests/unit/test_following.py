"""Following a job whose id comes to name another one meanwhile."""

import asyncio
from typing import Any, cast

import pytest

from helpers.asynchronous import asynchronous
from helpers.jobs import a_job
from queuectld.broker import Look
from queuectld.core.errors import JobNotFoundError
from queuectld.crew import Crew
from queuectld.server.call import Stream
from queuectld.server.following import Follower
from queuectld.server.inotify import Watcher
from queuectld.workers.outputs import Stream as Which


class Renamed:
    """A broker whose only job was pruned, and its id given to another."""

    async def look(self, _job_id: str, *, after: int | None) -> Look:
        """Return the other one, with whatever attempt of it."""
        del after
        return Look(JOB._replace(seq=JOB.seq + 1), None)


JOB = a_job()


@asynchronous
async def test_the_output_of_another_job_is_never_sent() -> None:
    """It may be another user's; the follower learns that its job is gone."""
    changed = asyncio.Event()
    changed.set()
    follower = Follower(
        JOB.id,
        JOB.seq,
        Stream(1, cast("Any", None)),
        changed,
        broker=cast("Any", Renamed()),
        files=Watcher(),
        readers=Crew("reading", 1),
        output_dir="/nowhere",
        which=tuple(Which),
    )
    with pytest.raises(JobNotFoundError):
        await follower.follow(run=None, tail=None)
