"""The method that waits for a job's end."""

import asyncio

from queuectl_protocol.errors import ErrorCode
from queuectl_protocol.vocabulary import FINAL_STATES, Role
from queuectld.broker import Broker
from queuectld.core.errors import JobNotFoundError
from queuectld.server import encoding
from queuectld.server.call import Call
from queuectld.server.schema import params
from queuectld.server.schema.method import Method, Result


async def wait(call: Call, *, id: str, timeout: float | None) -> Result:
    """Wait until the job is completed, dead or cancelled."""
    broker = call.context.broker
    seq = (await broker.job(id)).seq
    try:
        async with asyncio.timeout(timeout):
            return await _final(call, id, seq)
    except TimeoutError:
        async with call.room():
            return await _now(broker, id, seq)


async def _final(call: Call, job_id: str, seq: int) -> Result:
    broker = call.context.broker
    with broker.watch(seq) as changed:
        while True:
            # In this order no change falls between the look and the wait.
            changed.clear()
            # A thousand may wait: none keeps the job, and one at a time looks at it.
            async with call.room():
                result = await _now(broker, job_id, seq)
                if not result["timed_out"]:
                    return result
                del result
            await changed.wait()


async def _now(broker: Broker, job_id: str, seq: int) -> Result:
    """Return what there is to tell if nobody waits any longer."""
    job = await broker.job(job_id)
    if job.seq != seq:
        # It was pruned, and another one has its name now.
        raise JobNotFoundError(job_id)
    return {"job": encoding.job(job), "timed_out": job.state not in FINAL_STATES}


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
            ErrorCode.STORAGE_ERROR,
        ),
        waits=True,
    ),
)
