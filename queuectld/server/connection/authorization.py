"""Refusals of a request that a client's role does not allow."""

from functools import partial

from queuectl_protocol.limits import MAX_ID
from queuectl_protocol.messages import Request
from queuectld.core.errors import JobNotFoundError, JobNotYoursError
from queuectld.server.call import Call
from queuectld.server.errors import ForbiddenError
from queuectld.server.schema.method import Method, Result


def denial(method: Method, request: Request, denied: ForbiddenError) -> Method | None:
    """Return a method in place of ``method`` that says which role the request takes.

    That depends on whose job it is about. None: it does not, ``denied`` says it.
    """
    job_id = request.params.get("id")
    if method.others is None or not isinstance(job_id, str):
        return None
    if not job_id.isprintable() or len(job_id) > MAX_ID:
        return None
    return Method(
        name=method.name,
        doc=method.doc,
        handler=partial(_deny, job_id=job_id, denied=denied),
    )


async def _deny(call: Call, *, job_id: str, denied: ForbiddenError) -> Result:
    try:
        job = await call.context.broker.job(job_id)
    except JobNotFoundError:
        raise denied from None
    if job.submitter != call.peer.uid:
        raise JobNotYoursError(job.id)
    raise denied
