"""Methods that put jobs into the queue: one, or a batch."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from queuectl_protocol.errors import ErrorCode
from queuectl_protocol.limits import MAX_BATCH, MAX_BATCH_TEXT
from queuectl_protocol.vocabulary import Role
from queuectld.broker import Broker
from queuectld.clock import Clock
from queuectld.config import DaemonConfig
from queuectld.control.supervisor import Supervisor
from queuectld.core import submission
from queuectld.core.errors import InvalidJobError, JobExistsError
from queuectld.core.fields import texts
from queuectld.core.job import Submission
from queuectld.operations.enqueue import IfExists
from queuectld.server import encoding
from queuectld.server.call import Call
from queuectld.server.schema import params
from queuectld.server.schema.arguments import InvalidParamsError
from queuectld.server.schema.method import WRITE_ERRORS, Method, Result

TURN = 500
"""Jobs of a batch that are checked in one turn of the loop: about 3 ms."""


@dataclass(frozen=True, slots=True)
class EnqueueMethods:
    """Checks jobs and puts them into the queue.

    Attributes:
        config: returns the configuration in force.
    """

    broker: Broker
    supervisor: Supervisor
    config: Callable[[], DaemonConfig]
    clock: Clock
    _checking: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a batch is checked: the loop does one turn for all batches."""

    async def enqueue(
        self, call: Call, *, job: dict[str, Any], if_exists: IfExists
    ) -> Result:
        """Add one job."""
        wanted = submission.parse(
            job,
            submitter=call.peer.uid,
            now=self.clock.wall(),
            groups=self._groups(call),
        )
        try:
            (done,) = await self.broker.enqueue([wanted], if_exists=if_exists)
        except (InvalidJobError, JobExistsError) as error:
            error.index = None  # this is no batch
            raise
        return {
            "job": encoding.job(done.job),
            "created": done.created,
            "workers": self.supervisor.active,
            "draining": self.supervisor.draining,
        }

    async def enqueue_many(
        self,
        call: Call,
        *,
        jobs: list[dict[str, Any]],
        defaults: dict[str, Any] | None,
        if_exists: IfExists,
    ) -> Result:
        """Add a batch."""
        limit = self.config().max_batch
        if len(jobs) > limit:
            raise InvalidParamsError(
                "jobs",
                f"jobs has {len(jobs)} items, and max_batch is {limit}; send less",
            )
        async with self._checking:
            wanted = await self._checked(call, jobs, submission.check(defaults or {}))
        done = await self.broker.enqueue(wanted, if_exists=if_exists)
        return {
            "ids": [each.job.id for each in done],
            "created": sum(each.created for each in done),
            "workers": self.supervisor.active,
            "draining": self.supervisor.draining,
        }

    async def _checked(
        self, call: Call, jobs: Sequence[dict[str, Any]], defaults: Mapping[str, Any]
    ) -> list[Submission]:
        now, uid, groups = self.clock.wall(), call.peer.uid, self._groups(call)
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
            room -= texts.byte_count(wanted[-1])
            if room < 0:
                raise InvalidParamsError(
                    "jobs",
                    f"jobs have more than {MAX_BATCH_TEXT} bytes of commands, "
                    "directories, shells and labels, defaults written out for "
                    "each; send less",
                )
            if index % TURN == TURN - 1:
                await asyncio.sleep(0)
        # So that a thousand small batches do not share one turn either.
        await asyncio.sleep(0)
        return wanted

    def _groups(self, call: Call) -> tuple[int, ...] | None:
        """Return the groups that the job's process will have; None: the daemon's."""
        return call.peer.groups if self.config().as_submitter else None


_IF_EXISTS = params.choice(
    "if_exists",
    "what to do when the id is taken: refuse, or return the job that has it",
    tuple(IfExists),
    default=IfExists.ERROR,
)
_REFUSALS = (
    ErrorCode.ALREADY_EXISTS,
    ErrorCode.CONFLICT,
    ErrorCode.QUEUE_FULL,
    *WRITE_ERRORS,
)
"""Why jobs are not added, one or a batch."""

METHODS = (
    Method(
        name="enqueue",
        doc="Add a job. When the reply comes, it is on disk.",
        handler=EnqueueMethods.enqueue,
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
        handler=EnqueueMethods.enqueue_many,
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
)
