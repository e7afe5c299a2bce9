"""The method that waits for a job's end."""

import asyncio
from dataclasses import dataclass

from queuectl_protocol.errors import ErrorCode
from queuectl_protocol.vocabulary import FINAL_STATES, Role
from queuectld.broker import Broker
from queuectld.core.errors import JobNotFoundError
from queuectld.server import encoding
from queuectld.server.call import Call
from queuectld.server.schema import params
from queuectld.server.schema.method import READ_ERRORS, Method, Result


@dataclass(frozen=True, slots=True)
class WaitMethods:
    """Waits for the ends of jobs."""

    broker: Broker

    async def wait(self, call: Call, *, id: str, timeout: float | None) -> Result:
        """Wait until the job is completed, dead or cancelled."""
        seq = (await self.broker.job(id)).seq
        try:
            async with asyncio.timeout(timeout):
                return await self._final(call, id, seq)
        except TimeoutError:
            async with call.room():
                return await self._now(id, seq)

    async def _final(self, call: Call, job_id: str, seq: int) -> Result:
        with self.broker.events.watch(seq) as changed:
            while True:
                # Cleared before the read, so that no change between them is missed.
                changed.clear()
                # A thousand requests may wait: none keeps the job, and one at a time
                # reads it.
                async with call.room():
                    result = await self._now(job_id, seq)
                    if not result["timed_out"]:
                        return result
                    del result
                await changed.wait()

    async def _now(self, job_id: str, seq: int) -> Result:
        """Return the reply for the case that the wait ends now."""
        job = await self.broker.job(job_id)
        if job.seq != seq:
            # It was pruned, and another job has its id now.
            raise JobNotFoundError(job_id)
        return {"job": encoding.job(job), "timed_out": job.state not in FINAL_STATES}


METHODS = (
    Method(
        name="wait",
        doc="Reply when the job is completed, dead or cancelled, or after timeout.",
        handler=WaitMethods.wait,
        role=Role.READ,
        params=(
            params.JOB_ID,
            params.seconds("timeout", "wait at most so long; absent: for ever"),
        ),
        result="{job: JOB, timed_out: bool}",
        errors=(ErrorCode.NOT_FOUND, *READ_ERRORS),
        waits=True,
    ),
)
