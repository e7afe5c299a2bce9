"""Words the refusal of a request that a client's role does not allow.

``Requests`` checks the role itself. Whose job a request may deal with is checked by
``operations.lookups.find``, in the snapshot that the operation uses.
"""

from collections.abc import Awaitable, Callable
from functools import partial

from queuectl_protocol.limits import MAX_ID
from queuectl_protocol.messages import Request
from queuectld.core.errors import JobNotFoundError, JobNotYoursError
from queuectld.core.job import Job
from queuectld.server.call import Call, Peer
from queuectld.server.errors import ForbiddenError
from queuectld.server.schema.method import Method, Result

FindJob = Callable[[str], Awaitable[Job]]
"""Returns a job by its id."""


def refusing(method: Method, request: Request, peer: Peer, find_job: FindJob) -> Method:
    """Return a method that answers a request whose method the role does not allow.

    The role that is needed may depend on whose job the request names.

    Raises:
        ForbiddenError: it does not depend on a job.
    """
    error = ForbiddenError(method.name, method.role, peer.role)
    job_id = request.params.get("id")
    if method.others is None or not isinstance(job_id, str):
        raise error
    if not job_id.isprintable() or len(job_id) > MAX_ID:
        raise error
    refuse = partial(_refuse, job_id=job_id, error=error, find_job=find_job)
    return Method(name=method.name, doc=method.doc, handler=refuse)


async def _refuse(
    call: Call, *, job_id: str, error: ForbiddenError, find_job: FindJob
) -> Result:
    try:
        job = await find_job(job_id)
    except JobNotFoundError:
        raise error from None
    if job.submitter != call.peer.uid:
        raise JobNotYoursError(job.id)
    raise error
