"""The method that waits for a job's end."""

import asyncio

from queuectl_protocol.errors import ErrorCode
from queuectl_protocol.vocabulary import FINAL_STATES, Role
from queuectld.core.errors import JobNotFoundError
from queuectld.core.job import Job
from queuectld.server import params, wire
from queuectld.server.call import Call
from queuectld.server.method import Method, Result


async def wait(call: Call, *, id: str, timeout: float | None) -> Result:
    """Wait until the job is completed, dead or cancelled."""
    job = (await call.context.broker.view(id)).job
    timed_out = False
    if job.state not in FINAL_STATES:
        try:
            async with asyncio.timeout(timeout):
                job = await _final(call, id, job.seq)
        except TimeoutError:
            job, timed_out = (await call.context.broker.view(id)).job, True
    return {"job": wire.job(job), "timed_out": timed_out}


async def _final(call: Call, job_id: str, seq: int) -> Job:
    with call.context.broker.watch(seq) as changed:
        while True:
            # In this order no change falls between the look and the wait.
            changed.clear()
            job = (await call.context.broker.view(job_id)).job
            if job.seq != seq:
                # It was pruned, and another one has its name now.
                raise JobNotFoundError(job_id)
            if job.state in FINAL_STATES:
                return job
            await changed.wait()


METHODS = (
    Method(
        name="wait",
        doc="Reply when the job is completed, dead or cancelled, or after timeout.",
        handler=wait,
        role=Role.READ,
        params=(
            params.text("id", "the job's id", required=True),
            params.seconds("timeout", "wait at most so long; absent: for ever"),
        ),
        result="{job: JOB, timed_out: bool}",
        errors=(
            ErrorCode.NOT_FOUND,
            ErrorCode.TOO_MANY_REQUESTS,
            ErrorCode.STORAGE_ERROR,
        ),
        waits=True,
    ),
)
