"""Submissions for a broker."""

from helpers.brokers import Desk
from helpers.jobs import NOW
from queuectld.core.job import Submission
from queuectld.operations.enqueue import Enqueued, IfExists

FULL = Submission(
    command=("cp", "a", "b"),
    id="nightly",
    priority=3,
    max_retries=1,
    timeout=60,
    backoff_base=3,
    backoff_max=90,
    backoff_jitter=0,
    output_limit=1024,
    label="backup",
    run_at=NOW + 5000,
    cwd="/srv",
    umask=0o027,
    env={"A": "1"},
    submitter=1000,
)


async def add(
    desk: Desk, *submissions: Submission, if_exists: IfExists = IfExists.ERROR
) -> list[Enqueued]:
    return await desk.broker.enqueue(submissions, if_exists=if_exists)
