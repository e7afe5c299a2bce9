"""Methods that look at jobs."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from queuectl_protocol.errors import ErrorCode
from queuectl_protocol.limits import MAX_PAGE
from queuectl_protocol.packing import pack
from queuectl_protocol.vocabulary import JobState, Role
from queuectld.broker import Broker
from queuectld.config import DaemonConfig
from queuectld.core.job import Attempt
from queuectld.operations import lookups
from queuectld.server import encoding
from queuectld.server.call import Call
from queuectld.server.schema import params
from queuectld.server.schema.arguments import InvalidParamsError
from queuectld.server.schema.method import READ_ERRORS, Method, Result

STEP = 100
"""Rows that are read at a time for a page, as a page of huge commands ends early."""


@dataclass(frozen=True, slots=True)
class JobMethods:
    """Reads jobs, alone and in pages.

    Attributes:
        config: returns the configuration in force.
    """

    broker: Broker
    config: Callable[[], DaemonConfig]

    async def get(
        self, call: Call, *, id: str, env: bool, attempts_before: int | None
    ) -> Result:
        """Return one job and as many of its last attempts as fit into a frame."""
        # Variables may hold secrets; all else of a job is for every reader.
        confined_to = call.peer.confined_to if env else None
        view = await self.broker.read(
            lookups.view, id, env=env, before=attempts_before, confined_to=confined_to
        )
        job = encoding.job(view.job)
        if env:
            job["env"] = view.env
        room = self.config().max_frame - len(pack(job))
        attempts = _that_fit(view.attempts, room)
        more = view.more or len(attempts) < len(view.attempts)
        return {
            "job": job,
            "attempts": [encoding.attempt(each) for each in attempts],
            "attempts_next": attempts[0].run if more else None,
        }

    async def position(self, _call: Call, *, id: str) -> Result:
        """Return how many jobs are ahead of a job."""
        found = await self.broker.read(lookups.position, id)
        return {
            "state": found.job.state,
            "ready": found.job.due is True,
            "ahead": found.ahead,
            "ahead_more": found.more,
        }

    async def page(
        self,
        _call: Call,
        *,
        state: JobState | None,
        limit: int,
        before: int | None,
        states: Collection[JobState] | None,
    ) -> Result:
        """Return a page of jobs that fits into a frame."""
        if state is not None:
            if states is not None:
                raise InvalidParamsError(
                    "states", "states does not go with state; give one of them"
                )
            states = [state]
        config = self.config()
        limit = min(limit, config.max_page)
        rows: list[dict[str, Any]] = []
        room = config.max_frame
        while True:
            step = min(STEP, limit - len(rows))
            found = await self.broker.read(lookups.page, states, before, step)
            for job in found.jobs:
                room -= encoding.weight(job)
                if room < 0 and rows:
                    return {"jobs": rows, "next": before}
                rows.append(encoding.job(job))
                before = job.seq
            if found.cursor is None or len(rows) == limit:
                return {"jobs": rows, "next": found.cursor}


def _that_fit(attempts: Sequence[Attempt], room: int) -> Sequence[Attempt]:
    """Return the last attempts that ``room`` bytes hold, but at least one."""
    fitting = 0
    for attempt in reversed(attempts):
        room -= encoding.attempt_weight(attempt)
        if room < 0 and fitting:
            break
        fitting += 1
    return attempts[len(attempts) - fitting :]


_STATE = params.choice("state", "only jobs in this state", tuple(JobState))

METHODS = (
    Method(
        name="get",
        doc="Return a job and its last attempts, oldest first; the very last one has "
        "reason null while it runs. There are earlier ones unless attempts_next is "
        "null.",
        handler=JobMethods.get,
        role=Role.READ,
        params=(
            params.JOB_ID,
            params.flag("env", "with the job's environment, as job.env"),
            params.whole(
                "attempts_before", "attempts_next of the reply before; absent: the last"
            ),
        ),
        result="{job: JOB, attempts: [ATTEMPT], attempts_next: int | null}",
        errors=(ErrorCode.NOT_FOUND, *READ_ERRORS),
        bulky=True,
    ),
    Method(
        name="position",
        doc="Tell whether a job is ready to run, and behind how many others.",
        handler=JobMethods.position,
        role=Role.READ,
        params=(params.JOB_ID,),
        result="{state: str, ready: bool, ahead: int, ahead_more: bool}",
        errors=(ErrorCode.NOT_FOUND, *READ_ERRORS),
    ),
    Method(
        name="list",
        doc="Return jobs, newest first. A page can be shorter than limit; the listing "
        "is complete when next is null.",
        handler=JobMethods.page,
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
        errors=READ_ERRORS,
        bulky=True,
    ),
)
