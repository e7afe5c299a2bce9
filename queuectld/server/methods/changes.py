"""Methods that change the course of jobs: cancel, retry, start, delete; one, or many.

Of many, each is decided by itself, and the reply tells of each no more than fits for
all of them: a thousand jobs may have gigabytes of commands.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from queuectl_protocol.errors import ErrorCode
from queuectl_protocol.limits import MAX_CHANGES
from queuectl_protocol.vocabulary import JobState, Role
from queuectld.broker import Broker
from queuectld.control.attempts import Attempts
from queuectld.control.pruning import Pruner
from queuectld.core.errors import JobNotFoundError, JobNotYoursError, QueueError
from queuectld.core.event import Event
from queuectld.core.fields import texts
from queuectld.core.job import Job
from queuectld.host import logs
from queuectld.operations.change import Outcome
from queuectld.server import audit, encoding
from queuectld.server.call import Call
from queuectld.server.errors import refusal
from queuectld.server.schema import params
from queuectld.server.schema.method import WRITE_ERRORS, Handler, Method, Param, Result

HEAVY = 16 * 1024
"""Bytes from which a reply is made one at a time for each connection: a thousand
requests of 50 bytes must not make replies of 2 GB."""

_log = logs.get("server")


@dataclass(frozen=True, slots=True)
class ChangeMethods:
    """Changes the course of jobs."""

    broker: Broker
    attempts: Attempts
    pruner: Pruner

    async def retry_all(
        self, _call: Call, *, state: JobState, foreground: bool | None
    ) -> Result:
        """Queue all jobs of a state again."""
        retried, skipped = await self.broker.retry_all(state, foreground=foreground)
        return {"retried": retried, "skipped": skipped}

    async def cancel(
        self, call: Call, *, id: str, if_state: JobState | None, wait: bool
    ) -> Result:
        """Cancel one job."""
        outcomes = await self._cancel(call, [id], if_state, wait=wait)
        return await self._one(call, outcomes)

    async def cancel_many(
        self, call: Call, *, ids: Sequence[str], if_state: JobState | None, wait: bool
    ) -> Result:
        """Cancel jobs."""
        outcomes = await self._cancel(call, ids, if_state, wait=wait)
        return _many(call, "cancel_many", ids, outcomes)

    async def retry(self, call: Call, *, id: str, if_state: JobState | None) -> Result:
        """Queue one job again."""
        outcomes = await self._change(call, Event.RETRY, [id], if_state)
        return await self._one(call, outcomes)

    async def retry_many(
        self, call: Call, *, ids: Sequence[str], if_state: JobState | None
    ) -> Result:
        """Queue jobs again."""
        outcomes = await self._change(call, Event.RETRY, ids, if_state)
        return _many(call, "retry_many", ids, outcomes)

    async def start(self, call: Call, *, id: str, if_state: JobState | None) -> Result:
        """Make one job due."""
        outcomes = await self._change(call, Event.START, [id], if_state)
        return await self._one(call, outcomes)

    async def start_many(
        self, call: Call, *, ids: Sequence[str], if_state: JobState | None
    ) -> Result:
        """Make jobs due."""
        outcomes = await self._change(call, Event.START, ids, if_state)
        return _many(call, "start_many", ids, outcomes)

    async def delete(self, call: Call, *, id: str, if_state: JobState | None) -> Result:
        """Delete one job."""
        (outcome,) = await self._delete(call, [id], if_state)
        if isinstance(outcome, QueueError):
            raise outcome
        return {"job": encoding.brief(outcome)}

    async def delete_many(
        self, call: Call, *, ids: Sequence[str], if_state: JobState | None
    ) -> Result:
        """Delete jobs."""
        outcomes = await self._delete(call, ids, if_state)
        return _many(call, "delete_many", ids, outcomes)

    async def _change(
        self, call: Call, event: Event, ids: Sequence[str], if_state: JobState | None
    ) -> list[Outcome]:
        return await self.broker.change(
            event, ids, if_state, submitter=call.peer.confined_to
        )

    async def _delete(
        self, call: Call, ids: Sequence[str], if_state: JobState | None
    ) -> list[Outcome]:
        return await self.pruner.delete(ids, if_state, submitter=call.peer.confined_to)

    async def _cancel(
        self, call: Call, ids: Sequence[str], if_state: JobState | None, *, wait: bool
    ) -> list[Outcome]:
        outcomes = await self.attempts.cancel(
            ids, if_state, submitter=call.peer.confined_to
        )
        if not wait:
            return outcomes
        # Without the jobs themselves while they run on: a command is up to 2 MiB.
        end_of = self.broker.events.end_of
        ends = [
            _refused(each) if isinstance(each, QueueError) else end_of(each)
            for each in outcomes
        ]
        del outcomes
        with call.waiting():
            return list(await asyncio.gather(*ends))

    async def _one(self, call: Call, outcomes: list[Outcome]) -> Result:
        """Return the reply for one job; a large one is made when there is room."""
        outcome = outcomes.pop()
        if isinstance(outcome, QueueError):
            raise outcome
        if encoding.weight(outcome) <= HEAVY:
            return {"job": encoding.job(outcome)}
        job = texts.without(outcome)
        del outcome
        async with call.room():
            whole = await self.broker.job(job.id)
            if whole.seq != job.seq:
                raise JobNotFoundError(job.id)
            return {"job": encoding.job(texts.put_back(job, whole))}


async def _refused(outcome: Outcome) -> Outcome:
    return outcome


def _many(
    call: Call, method: str, ids: Sequence[str], outcomes: Sequence[Outcome]
) -> Result:
    """Return the reply for many jobs; log which of them the client may not change."""
    denied = [each for each in outcomes if isinstance(each, JobNotYoursError)]
    if denied:
        why = f"{len(denied)} jobs: {denied[0]}"
        who = call.peer.log_fields
        for jobs in audit.records(("ids",), {"ids": [each.job_id for each in denied]}):
            _log.warning("request_denied", method=method, **who, **jobs, why=why)
    results = [_result(*each) for each in zip(ids, outcomes, strict=True)]
    return {"results": results}


def _result(job_id: str, outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, Job):
        return {"id": job_id, "job": encoding.brief(outcome), "error": None}
    return {"id": job_id, "job": None, "error": refusal(outcome).as_item()}


_IF_STATE = params.choice(
    "if_state", "do it only if the job is in this state", tuple(JobState)
)
_IDS = params.texts("ids", f"ids of 1 to {MAX_CHANGES} jobs", count=MAX_CHANGES)
_WAIT = params.flag("wait", "reply when no process of the job is left", default=True)
_WAIT_FOR_ALL = params.flag(
    "wait", "reply when no process of the jobs is left", default=True
)
_RETRIABLE = (
    JobState.DEAD,
    JobState.FAILED,
    JobState.CANCELLED,
    JobState.COMPLETED,
)

_OF_THE_JOB = (ErrorCode.NOT_FOUND, ErrorCode.INVALID_STATE)


def _change(
    name: str, handler: Handler, doc: str, *more: Param, result: str = "{job: JOB}"
) -> Method:
    """Declare a method that changes one job, or many if its name says so."""
    many = name.endswith("_many")
    target = _IDS if many else params.JOB_ID
    return Method(
        name=name,
        doc=doc,
        handler=handler,
        role=Role.SUBMIT,
        others=Role.OPERATE,
        changes=(target.name,),
        audit=(target.name,),
        params=(target, _IF_STATE, *more),
        result="{results: [RESULT]}" if many else result,
        errors=WRITE_ERRORS if many else (*_OF_THE_JOB, *WRITE_ERRORS),
    )


METHODS = (
    Method(
        name="retry_all",
        doc="Queue all jobs again that are in a state.",
        handler=ChangeMethods.retry_all,
        role=Role.OPERATE,
        changes=(),
        audit=("state", "foreground"),
        params=(
            params.choice("state", "the state", _RETRIABLE, required=True),
            params.optional_flag(
                "foreground", "only jobs that are so, or only others; absent: all"
            ),
        ),
        result="{retried: int, skipped: int}",
        errors=WRITE_ERRORS,
    ),
    _change(
        "cancel",
        ChangeMethods.cancel,
        "Cancel a job that is waiting or running.",
        _WAIT,
    ),
    _change(
        "cancel_many",
        ChangeMethods.cancel_many,
        "Cancel jobs that are waiting or running, in one transaction.",
        _WAIT_FOR_ALL,
    ),
    _change(
        "retry",
        ChangeMethods.retry,
        "Queue a job again that is dead, cancelled, completed or failed, with all "
        "its retries, now. Its attempts so far stay on record.",
    ),
    _change(
        "retry_many",
        ChangeMethods.retry_many,
        "Queue jobs again that are dead, cancelled, completed or failed, in one "
        "transaction.",
    ),
    _change(
        "start",
        ChangeMethods.start,
        "Make a job due now that waits for its time: one for later, or a failed "
        "one. Its retries are as many as they were.",
    ),
    _change(
        "start_many",
        ChangeMethods.start_many,
        "Make jobs due now that wait for their time, in one transaction.",
    ),
    _change(
        "delete",
        ChangeMethods.delete,
        "Forget a job that is completed, dead or cancelled, with its attempts and "
        "output.",
        result="{job: BRIEF}",
    ),
    _change(
        "delete_many",
        ChangeMethods.delete_many,
        "Forget jobs that are completed, dead or cancelled, with their attempts "
        "and output.",
    ),
)
