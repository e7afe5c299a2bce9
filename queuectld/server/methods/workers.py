"""Methods that start, stop and list workers."""

from collections.abc import Sequence
from dataclasses import dataclass

from queuectl_protocol.errors import ErrorCode
from queuectl_protocol.vocabulary import Role
from queuectld.broker import Broker
from queuectld.control.desired import MAX_WORKERS
from queuectld.control.supervisor import Supervisor
from queuectld.server import encoding
from queuectld.server.call import Call
from queuectld.server.schema import params
from queuectld.server.schema.arguments import InvalidParamsError
from queuectld.server.schema.method import READ_ERRORS, WRITE_ERRORS, Method, Result
from queuectld.workers.daemon_side.pool import Pool


@dataclass(frozen=True, slots=True)
class WorkerMethods:
    """Starts and stops workers, and tells which there are."""

    broker: Broker
    supervisor: Supervisor
    pool: Pool

    async def list_workers(self, _call: Call) -> Result:
        """Return all worker processes."""
        return {
            "workers": [encoding.worker(each) for each in self.pool],
            "wanted": self.supervisor.wanted,
        }

    async def start(self, call: Call, *, count: int, bound: bool) -> Result:
        """Add workers."""
        started = await self.supervisor.start(count, call.peer if bound else None)
        return {
            "workers": [encoding.worker(each) for each in started],
            "wanted": self.supervisor.wanted,
        }

    async def ensure(self, _call: Call, *, count: int) -> Result:
        """Add workers if there are fewer than ``count``."""
        workers = await self.supervisor.ensure(count)
        return {"workers": workers, "wanted": self.supervisor.wanted}

    async def reserve(self, call: Call, *, id: str) -> Result:
        """Add a worker for one job, if there is none at all."""
        job = await self.broker.job(id)
        # If the connection ended meanwhile, nobody would stop the worker.
        waits = job.due is True and not call.peer.outbox.gone
        return {"reserved": waits and self.supervisor.reserve(call.peer, job.seq)}

    async def wait(self, call: Call) -> Result:
        """Wait until the workers of this connection are gone."""
        await self.supervisor.left(call.peer)
        return {}

    async def stop(
        self,
        _call: Call,
        *,
        timeout: float | None,
        now: bool,
        workers: Sequence[int] | None,
        count: int | None,
    ) -> Result:
        """Stop workers."""
        if workers is not None and count is not None:
            raise InvalidParamsError(
                "count", "count says how many and workers says which: give one of them"
            )
        done = await self.supervisor.stop(
            interrupt_after=0 if now else timeout, only=workers, count=count
        )
        return {"stopped": done.stopped, "interrupted": done.interrupted}

    async def scale(
        self, _call: Call, *, count: int, timeout: float | None, now: bool
    ) -> Result:
        """Start or stop workers until there are ``count``."""
        done = await self.supervisor.scale(count, interrupt_after=0 if now else timeout)
        return {
            "started": [encoding.worker(each) for each in done.started],
            "stopped": done.stopped.stopped,
            "interrupted": done.stopped.interrupted,
            "wanted": self.supervisor.wanted,
        }


_TIMEOUT = params.seconds(
    "timeout", "then interrupt what still runs; absent: wait for it"
)
_NOW = params.flag("now", "interrupt at once")


METHODS = (
    Method(
        name="workers.list",
        doc="Return the worker processes, and how many are wanted beside bound ones.",
        handler=WorkerMethods.list_workers,
        role=Role.READ,
        result="{workers: [WORKER], wanted: int}",
    ),
    Method(
        name="workers.start",
        doc="Add workers; reply with them when they are ready. The wanted number "
        f"outlives the daemon. There are at most {MAX_WORKERS}.",
        handler=WorkerMethods.start,
        role=Role.OPERATE,
        audit=("count", "bound"),
        params=(
            params.whole(
                "count", "how many more", minimum=1, maximum=MAX_WORKERS, default=1
            ),
            params.flag(
                "bound",
                "they belong to this connection, and stop when it ends; they are not "
                "among the wanted",
            ),
        ),
        result="{workers: [WORKER], wanted: int}",
        errors=WRITE_ERRORS,
    ),
    Method(
        name="workers.ensure",
        doc="Add workers if there are fewer than count; reply when they are ready.",
        handler=WorkerMethods.ensure,
        role=Role.OPERATE,
        audit=("count",),
        params=(
            params.whole(
                "count", "how many in all", minimum=1, maximum=MAX_WORKERS, default=1
            ),
        ),
        result="{workers: int, wanted: int}",
        errors=WRITE_ERRORS,
    ),
    Method(
        name="workers.reserve",
        doc="Add a worker for one job that is ready, unless some are there that take "
        "any. It belongs to this connection, takes that job and no other, and stops "
        "when the job is not ready any more or the connection ends.",
        handler=WorkerMethods.reserve,
        role=Role.OPERATE,
        audit=("id",),
        params=(params.JOB_ID,),
        result="{reserved: bool}",
        errors=(ErrorCode.NOT_FOUND, *READ_ERRORS),
    ),
    Method(
        name="workers.wait",
        doc="Reply when no worker is bound to this connection: all were stopped.",
        handler=WorkerMethods.wait,
        role=Role.OPERATE,
        waits=True,
    ),
    Method(
        name="workers.stop",
        doc="Stop workers: they take no more jobs, running ones finish. Reply when no "
        "worker process is left. An interrupted job is pending again, and the attempt "
        "does not count.",
        handler=WorkerMethods.stop,
        role=Role.OPERATE,
        audit=("timeout", "now", "workers", "count"),
        params=(
            _TIMEOUT,
            _NOW,
            params.wholes(
                "workers", "numbers of workers; absent: all, and none is wanted"
            ),
            params.whole(
                "count",
                "how many, in place of which: not bound ones, the idle first",
                minimum=1,
                maximum=MAX_WORKERS,
            ),
        ),
        result="{stopped: int, interrupted: int}",
        errors=WRITE_ERRORS,
    ),
    Method(
        name="workers.scale",
        doc="Have so many workers beside the bound ones: start what is missing, or "
        "stop what is too many as workers.stop does. Reply when the new ones are ready "
        "and the others gone.",
        handler=WorkerMethods.scale,
        role=Role.OPERATE,
        audit=("count", "timeout", "now"),
        params=(
            params.whole("count", "how many", maximum=MAX_WORKERS, required=True),
            _TIMEOUT,
            _NOW,
        ),
        result="{started: [WORKER], stopped: int, interrupted: int, wanted: int}",
        errors=WRITE_ERRORS,
    ),
)
