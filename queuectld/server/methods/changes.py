"""Methods that change the course of jobs: cancel, retry, start, delete; one, or many.

Of many, each is decided by itself, and the reply tells no more of each than fits for
all of them: a thousand jobs may have gigabytes of commands.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from queuectl_protocol.errors import ErrorCode
from queuectl_protocol.limits import MAX_CHANGES
from queuectl_protocol.vocabulary import JobState, Role
from queuectld.broker import Event, Outcome
from queuectld.core.errors import (
    JobNotFoundError,
    JobNotYoursError,
    QueueError,
)
from queuectld.core.job import Job, with_texts, without_texts
from queuectld.host import logs
from queuectld.server import audit, encoding, params
from queuectld.server.call import Call
from queuectld.server.errors import refusal
from queuectld.server.method import Method, Result

HEAVY = 16 * 1024
"""Bytes of a reply over which it is one at a time for each connection: a thousand
requests of 50 bytes must not make replies of 2 GB."""


_log = logs.get("server")


async def cancel(
    call: Call, *, id: str, if_state: JobState | None, wait: bool
) -> Result:
    """Cancel one job."""
    outcomes = await _cancel(call, [id], if_state, wait=wait)
    return await _told(call, outcomes)


async def retry(call: Call, *, id: str, if_state: JobState | None) -> Result:
    """Queue one job again."""
    return await _told(call, await _change(call, Event.RETRY, [id], if_state))


async def start(call: Call, *, id: str, if_state: JobState | None) -> Result:
    """Make one job due."""
    return await _told(call, await _change(call, Event.START, [id], if_state))


async def delete(call: Call, *, id: str, if_state: JobState | None) -> Result:
    """Forget one job."""
    (outcome,) = await _delete(call, [id], if_state)
    if isinstance(outcome, QueueError):
        raise outcome
    return {"job": encoding.brief(outcome)}


async def cancel_many(
    call: Call, *, ids: Sequence[str], if_state: JobState | None, wait: bool
) -> Result:
    """Cancel jobs."""
    return _each(
        call, "cancel_many", ids, await _cancel(call, ids, if_state, wait=wait)
    )


async def retry_many(
    call: Call, *, ids: Sequence[str], if_state: JobState | None
) -> Result:
    """Queue jobs again."""
    return _each(
        call, "retry_many", ids, await _change(call, Event.RETRY, ids, if_state)
    )


async def start_many(
    call: Call, *, ids: Sequence[str], if_state: JobState | None
) -> Result:
    """Make jobs due."""
    return _each(
        call, "start_many", ids, await _change(call, Event.START, ids, if_state)
    )


async def delete_many(
    call: Call, *, ids: Sequence[str], if_state: JobState | None
) -> Result:
    """Forget jobs."""
    return _each(call, "delete_many", ids, await _delete(call, ids, if_state))


async def _change(
    call: Call, event: Event, ids: Sequence[str], if_state: JobState | None
) -> list[Outcome]:
    return await call.context.broker.change(
        event, ids, if_state, submitter=call.peer.confined_to
    )


async def _delete(
    call: Call, ids: Sequence[str], if_state: JobState | None
) -> list[Outcome]:
    pruner = call.context.pruner
    return await pruner.delete(ids, if_state, submitter=call.peer.confined_to)


async def _cancel(
    call: Call, ids: Sequence[str], if_state: JobState | None, *, wait: bool
) -> list[Outcome]:
    outcomes = await call.context.attempts.cancel(
        ids, if_state, submitter=call.peer.confined_to
    )
    if not wait:
        return outcomes
    broker = call.context.broker
    # Not the jobs themselves, while they run on: a command is up to 2 MiB.
    ends = [
        _known(each) if isinstance(each, QueueError) else broker.end_of(each)
        for each in outcomes
    ]
    del outcomes
    with call.waiting():
        return list(await asyncio.gather(*ends))


async def _known(refused: Outcome) -> Outcome:
    return refused


async def _told(call: Call, outcomes: list[Outcome]) -> Result:
    """Return the reply that tells the one job; a large one only when there is room."""
    outcome = outcomes.pop()
    if isinstance(outcome, QueueError):
        raise outcome
    if encoding.weight(outcome) <= HEAVY:
        return {"job": encoding.job(outcome)}
    job = without_texts(outcome)
    del outcome
    async with call.room():
        whole = await call.context.broker.job(job.id)
        if whole.seq != job.seq:
            raise JobNotFoundError(job.id)
        return {"job": encoding.job(with_texts(job, whole))}


def _each(
    call: Call, method: str, ids: Sequence[str], outcomes: Sequence[Outcome]
) -> Result:
    denied = [each for each in outcomes if isinstance(each, JobNotYoursError)]
    if denied:
        who = {"uid": call.peer.uid, "pid": call.peer.pid, "role": call.peer.role}
        why = f"{len(denied)} jobs: {denied[0]}"
        for told in audit.records(("ids",), {"ids": [each.job_id for each in denied]}):
            _log.warning("request_denied", method=method, **who, **told, why=why)
    results = [_result(*each) for each in zip(ids, outcomes, strict=True)]
    return {"results": results}


def _result(job_id: str, outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, Job):
        return {"id": job_id, "job": encoding.brief(outcome), "error": None}
    return {"id": job_id, "job": None, "error": refusal(outcome).as_item()}


_ID = params.text("id", "the job's id", required=True)
_IDS = params.texts("ids", f"ids of 1 to {MAX_CHANGES} jobs", count=MAX_CHANGES)
_IF_STATE = params.choice(
    "if_state", "do it only if the job is in this state", tuple(JobState)
)
_WAIT = params.flag("wait", "reply when no process of the job is left", default=True)
_WAIT_FOR_ALL = params.flag(
    "wait", "reply when no process of the jobs is left", default=True
)

_STORAGE = (ErrorCode.STORAGE_FULL, ErrorCode.STORAGE_ERROR)
_REFUSALS = (ErrorCode.NOT_FOUND, ErrorCode.INVALID_STATE, *_STORAGE)
_ONE = "{job: JOB}"
_MANY = "{results: [RESULT]}"

METHODS = (
    Method(
        name="cancel",
        doc="Cancel a job that is waiting or running.",
        handler=cancel,
        role=Role.SUBMIT,
        others=Role.OPERATE,
        changes=("id",),
        audit=("id",),
        params=(_ID, _IF_STATE, _WAIT),
        result=_ONE,
        errors=_REFUSALS,
    ),
    Method(
        name="cancel_many",
        doc="Cancel jobs that are waiting or running, in one transaction.",
        handler=cancel_many,
        role=Role.SUBMIT,
        others=Role.OPERATE,
        changes=("ids",),
        audit=("ids",),
        params=(_IDS, _IF_STATE, _WAIT_FOR_ALL),
        result=_MANY,
        errors=_STORAGE,
    ),
    Method(
        name="retry",
        doc="Queue a job again that is dead, cancelled, completed or failed, with all "
        "its retries, now. Its attempts so far stay on record.",
        handler=retry,
        role=Role.SUBMIT,
        others=Role.OPERATE,
        changes=("id",),
        audit=("id",),
        params=(_ID, _IF_STATE),
        result=_ONE,
        errors=_REFUSALS,
    ),
    Method(
        name="retry_many",
        doc="Queue jobs again that are dead, cancelled, completed or failed, in one "
        "transaction.",
        handler=retry_many,
        role=Role.SUBMIT,
        others=Role.OPERATE,
        changes=("ids",),
        audit=("ids",),
        params=(_IDS, _IF_STATE),
        result=_MANY,
        errors=_STORAGE,
    ),
    Method(
        name="start",
        doc="Make a job due now that waits for its time: one for later, or a failed "
        "one. Its retries are as many as they were.",
        handler=start,
        role=Role.SUBMIT,
        others=Role.OPERATE,
        changes=("id",),
        audit=("id",),
        params=(_ID, _IF_STATE),
        result=_ONE,
        errors=_REFUSALS,
    ),
    Method(
        name="start_many",
        doc="Make jobs due now that wait for their time, in one transaction.",
        handler=start_many,
        role=Role.SUBMIT,
        others=Role.OPERATE,
        changes=("ids",),
        audit=("ids",),
        params=(_IDS, _IF_STATE),
        result=_MANY,
        errors=_STORAGE,
    ),
    Method(
        name="delete",
        doc="Forget a job that is completed, dead or cancelled, with its attempts and "
        "output.",
        handler=delete,
        role=Role.SUBMIT,
        others=Role.OPERATE,
        changes=("id",),
        audit=("id",),
        params=(_ID, _IF_STATE),
        result="{job: BRIEF}",
        errors=_REFUSALS,
    ),
    Method(
        name="delete_many",
        doc="Forget jobs that are completed, dead or cancelled, with their attempts "
        "and output.",
        handler=delete_many,
        role=Role.SUBMIT,
        others=Role.OPERATE,
        changes=("ids",),
        audit=("ids",),
        params=(_IDS, _IF_STATE),
        result=_MANY,
        errors=_STORAGE,
    ),
)
