"""Methods that put jobs into the queue and look at them."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from queuectl_protocol.errors import ErrorCode
from queuectl_protocol.limits import MAX_BATCH, MAX_BATCH_TEXT, MAX_PAGE
from queuectl_protocol.messages import pack
from queuectl_protocol.vocabulary import JobState, Role
from queuectld.broker import IfExists
from queuectld.core import submission
from queuectld.core.errors import InvalidJobError, JobExistsError
from queuectld.core.job import Attempt, Submission
from queuectld.server import encoding, params
from queuectld.server.call import Call
from queuectld.server.method import Method, Result
from queuectld.server.params import InvalidParamsError

TURN = 500
"""Jobs of a batch that are checked before other clients have a turn: about 3 ms."""

STEP = 100
"""Rows read at a time for a page, so that one of huge commands ends early."""


async def enqueue(call: Call, *, job: dict[str, Any], if_exists: IfExists) -> Result:
    """Add one job."""
    context = call.context
    wanted = submission.parse(
        job,
        submitter=call.peer.uid,
        now=context.clock.wall(),
        groups=call.groups,
    )
    try:
        (done,) = await context.broker.enqueue([wanted], if_exists=if_exists)
    except (InvalidJobError, JobExistsError) as error:
        error.index = None  # this is no batch
        raise
    return {
        "job": encoding.job(done.job),
        "created": done.created,
        "workers": context.supervisor.active,
        "draining": context.supervisor.draining,
    }


async def enqueue_many(
    call: Call,
    *,
    jobs: list[dict[str, Any]],
    defaults: dict[str, Any] | None,
    if_exists: IfExists,
) -> Result:
    """Add a batch."""
    context = call.context
    limit = context.config().max_batch
    if len(jobs) > limit:
        raise InvalidParamsError(
            "jobs", f"jobs has {len(jobs)} items, and max_batch is {limit}; send less"
        )
    async with call.service.checking:
        wanted = await _submissions(call, jobs, submission.check(defaults or {}))
    done = await context.broker.enqueue(wanted, if_exists=if_exists)
    return {
        "ids": [each.job.id for each in done],
        "created": sum(each.created for each in done),
        "workers": context.supervisor.active,
        "draining": context.supervisor.draining,
    }


async def _submissions(
    call: Call, jobs: Sequence[dict[str, Any]], defaults: Mapping[str, Any]
) -> list[Submission]:
    now, uid, groups = call.context.clock.wall(), call.peer.uid, call.groups
    wanted: list[Submission] = []
    room = MAX_BATCH_TEXT
    for index, job in enumerate(jobs):
        try:
            wanted.append(
                submission.parse(
                    job, submitter=uid, now=now, defaults=defaults, groups=groups
                )
            )
        except InvalidJobError as error:
            error.index = index
            raise
        room -= submission.weight(wanted[-1])
        if room < 0:
            raise InvalidParamsError(
                "jobs",
                f"jobs have more than {MAX_BATCH_TEXT} bytes of commands, "
                "directories, shells and labels, defaults written out for "
                "each; send less",
            )
        if index % TURN == TURN - 1:
            await asyncio.sleep(0)
    # So that a thousand small batches are not one turn either.
    await asyncio.sleep(0)
    return wanted


async def get(call: Call, *, id: str, env: bool, attempts_before: int | None) -> Result:
    """Return one job and its last attempts, as many as fit into a frame."""
    # Variables are where secrets are handed to jobs; the rest of a job is told to all
    # who may look.
    owner = call.peer.confined_to if env else None
    view = await call.context.broker.view(
        id, env=env, before=attempts_before, submitter=owner
    )
    job = encoding.job(view.job)
    if env:
        job["env"] = view.env
    room = call.context.config().max_frame - len(pack(job))
    attempts = _that_fit(view.attempts, room)
    more = view.more or len(attempts) < len(view.attempts)
    return {
        "job": job,
        "attempts": [encoding.attempt(each) for each in attempts],
        "attempts_next": attempts[0].run if more else None,
    }


def _that_fit(attempts: Sequence[Attempt], room: int) -> Sequence[Attempt]:
    """Return the last attempts that ``room`` bytes hold, but one in any case."""
    fitting = 0
    for attempt in reversed(attempts):
        room -= encoding.attempt_weight(attempt)
        if room < 0 and fitting:
            break
        fitting += 1
    return attempts[len(attempts) - fitting :]


async def page(
    call: Call,
    *,
    state: JobState | None,
    limit: int,
    before: int | None,
    states: Collection[JobState] | None,
) -> Result:
    """Return a page of jobs that fits into a frame."""
    if state is not None:
        if states is not None:
            raise params.InvalidParamsError(
                "states", "states does not go with state; give one of them"
            )
        states = [state]
    config = call.context.config()
    limit = min(limit, config.max_page)
    rows: list[dict[str, Any]] = []
    room = config.max_frame
    while True:
        found = await call.context.broker.page(
            states, before, min(STEP, limit - len(rows))
        )
        for job in found.jobs:
            room -= encoding.weight(job)
            if room < 0 and rows:
                return {"jobs": rows, "next": before}
            rows.append(encoding.job(job))
            before = job.seq
        if found.cursor is None or len(rows) == limit:
            return {"jobs": rows, "next": found.cursor}


async def retry_all(call: Call, *, state: JobState, foreground: bool | None) -> Result:
    """Queue all jobs of a state again."""
    retried, skipped = await call.context.broker.retry_all(state, foreground=foreground)
    return {"retried": retried, "skipped": skipped}


async def position(call: Call, *, id: str) -> Result:
    """Return what a job waits behind."""
    found = await call.context.broker.position(id)
    return {
        "state": found.job.state,
        "ready": found.job.due is True,
        "ahead": found.ahead,
        "ahead_more": found.more,
    }


_ID = params.text("id", "the job's id", required=True)
_STATE = params.choice("state", "only jobs in this state", tuple(JobState))
_IF_EXISTS = params.choice(
    "if_exists",
    "what to do when the id is taken: refuse, or return the job that has it",
    tuple(IfExists),
    default=IfExists.ERROR,
)
_RETRIABLE = (
    JobState.DEAD,
    JobState.FAILED,
    JobState.CANCELLED,
    JobState.COMPLETED,
)

_REFUSALS = (
    ErrorCode.ALREADY_EXISTS,
    ErrorCode.CONFLICT,
    ErrorCode.QUEUE_FULL,
    ErrorCode.STORAGE_FULL,
    ErrorCode.STORAGE_ERROR,
)
"""Why jobs are not added, one or many."""

METHODS = (
    Method(
        name="enqueue",
        doc="Add a job. When the reply comes, it is on disk.",
        handler=enqueue,
        role=Role.SUBMIT,
        changes=("job",),
        params=(
            params.fields("job", "the job's fields (job_fields)", required=True),
            _IF_EXISTS,
        ),
        result="{job: JOB, created: bool, workers: int, draining: bool}",
        errors=_REFUSALS,
    ),
    Method(
        name="enqueue_many",
        doc="Add jobs, all or none. An error's data has the index, from 0, of the "
        "first job that was refused.",
        handler=enqueue_many,
        role=Role.SUBMIT,
        changes=("jobs", "defaults"),
        params=(
            params.batch(
                "jobs",
                f"the jobs' fields; at most max_batch jobs, {MAX_BATCH} unless "
                "configured otherwise",
            ),
            params.fields("defaults", "fields for all jobs that do not have their own"),
            _IF_EXISTS,
        ),
        result="{ids: [str], created: int, workers: int, draining: bool}",
        errors=_REFUSALS,
    ),
    Method(
        name="get",
        doc="Return a job and its last attempts, oldest first; the very last one has "
        "reason null while it runs. There are earlier ones unless attempts_next is "
        "null.",
        handler=get,
        role=Role.READ,
        params=(
            _ID,
            params.flag("env", "with the job's environment, as job.env"),
            params.whole(
                "attempts_before", "attempts_next of the reply before; absent: the last"
            ),
        ),
        result="{job: JOB, attempts: [ATTEMPT], attempts_next: int | null}",
        errors=(ErrorCode.NOT_FOUND, ErrorCode.STORAGE_ERROR),
        bulky=True,
    ),
    Method(
        name="position",
        doc="Tell whether a job is ready to run, and behind how many others.",
        handler=position,
        role=Role.READ,
        params=(_ID,),
        result="{state: str, ready: bool, ahead: int, ahead_more: bool}",
        errors=(ErrorCode.NOT_FOUND, ErrorCode.STORAGE_ERROR),
    ),
    Method(
        name="list",
        doc="Return jobs, newest first. A page can be shorter than limit; the listing "
        "is complete when next is null.",
        handler=page,
        role=Role.READ,
        params=(
            _STATE,
            params.whole(
                "limit",
                f"jobs in the page; at most max_page, {MAX_PAGE} unless configured "
                "otherwise",
                minimum=1,
                default=100,
            ),
            params.whole("before", "next of the page before; absent: the newest jobs"),
            params.choices(
                "states",
                "only jobs in one of these states; not with state",
                tuple(JobState),
                default=None,
            ),
        ),
        result="{jobs: [JOB], next: int | null}",
        errors=(ErrorCode.STORAGE_ERROR,),
        bulky=True,
    ),
    Method(
        name="retry_all",
        doc="Queue all jobs again that are in a state.",
        handler=retry_all,
        role=Role.OPERATE,
        changes=(),
        audit=("state", "foreground"),
        params=(
            params.choice("state", "the state", _RETRIABLE, required=True),
            params.either(
                "foreground", "only jobs that are so, or only others; absent: all"
            ),
        ),
        result="{retried: int, skipped: int}",
        errors=(ErrorCode.STORAGE_FULL, ErrorCode.STORAGE_ERROR),
    ),
)
