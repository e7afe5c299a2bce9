"""Methods for the workers: how many, which, and no more."""

from collections.abc import Sequence

from queuectl_protocol.errors import ErrorCode
from queuectl_protocol.vocabulary import Role
from queuectld.control.desired import MAX_WORKERS
from queuectld.server import encoding, params
from queuectld.server.call import Call
from queuectld.server.method import Method, Result


async def list_workers(call: Call) -> Result:
    """Return all worker processes."""
    context = call.context
    return {
        "workers": [encoding.worker(each) for each in context.pool],
        "wanted": context.supervisor.wanted,
    }


async def start(call: Call, *, count: int, bound: bool) -> Result:
    """Add workers."""
    supervisor = call.context.supervisor
    started = await supervisor.start(count, call.peer if bound else None)
    return {
        "workers": [encoding.worker(each) for each in started],
        "wanted": supervisor.wanted,
    }


async def ensure(call: Call, *, count: int) -> Result:
    """See to it that some workers run."""
    supervisor = call.context.supervisor
    return {"workers": await supervisor.ensure(count), "wanted": supervisor.wanted}


async def reserve(call: Call, *, id: str) -> Result:
    """Add a worker for one job, if there is none at all."""
    job = await call.context.broker.job(id)
    supervisor = call.context.supervisor
    # The connection may have ended meanwhile, and nobody would stop the worker.
    waits = job.due is True and not call.peer.outbox.gone
    return {"reserved": waits and supervisor.reserve(call.peer, job.seq)}


async def wait(call: Call) -> Result:
    """Wait until the workers of this connection are gone."""
    await call.context.supervisor.left(call.peer)
    return {}


async def stop(
    call: Call,
    *,
    timeout: float | None,
    now: bool,
    workers: Sequence[int] | None,
    count: int | None,
) -> Result:
    """Stop workers."""
    if workers is not None and count is not None:
        raise params.InvalidParamsError(
            "count", "count says how many and workers says which: give one of them"
        )
    done = await call.context.supervisor.stop(
        interrupt_after=0 if now else timeout, only=workers, count=count
    )
    return {"stopped": done.stopped, "interrupted": done.interrupted}


async def scale(call: Call, *, count: int, timeout: float | None, now: bool) -> Result:
    """Have a number of workers."""
    supervisor = call.context.supervisor
    done = await supervisor.scale(count, interrupt_after=0 if now else timeout)
    return {
        "started": [encoding.worker(each) for each in done.started],
        "stopped": done.stopped.stopped,
        "interrupted": done.stopped.interrupted,
        "wanted": supervisor.wanted,
    }


_TIMEOUT = params.seconds(
    "timeout", "then interrupt what still runs; absent: wait for it"
)
_NOW = params.flag("now", "interrupt at once")


METHODS = (
    Method(
        name="workers.list",
        doc="Return the worker processes, and how many are wanted beside bound ones.",
        handler=list_workers,
        role=Role.READ,
        result="{workers: [WORKER], wanted: int}",
    ),
    Method(
        name="workers.start",
        doc="Add workers; reply with them when they are ready. The wanted number "
        f"outlives the daemon. There are at most {MAX_WORKERS}.",
        handler=start,
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
        errors=(ErrorCode.STORAGE_FULL, ErrorCode.STORAGE_ERROR),
    ),
    Method(
        name="workers.ensure",
        doc="Add workers if there are fewer than count; reply when they are ready.",
        handler=ensure,
        role=Role.OPERATE,
        audit=("count",),
        params=(
            params.whole(
                "count", "how many in all", minimum=1, maximum=MAX_WORKERS, default=1
            ),
        ),
        result="{workers: int, wanted: int}",
        errors=(ErrorCode.STORAGE_FULL, ErrorCode.STORAGE_ERROR),
    ),
    Method(
        name="workers.reserve",
        doc="Add a worker for one job that is ready, unless some are there that take "
        "any. It belongs to this connection, takes that job and no other, and stops "
        "when the job is not ready any more or the connection ends.",
        handler=reserve,
        role=Role.OPERATE,
        audit=("id",),
        params=(params.text("id", "the job's id", required=True),),
        result="{reserved: bool}",
        errors=(ErrorCode.NOT_FOUND, ErrorCode.STORAGE_ERROR),
    ),
    Method(
        name="workers.wait",
        doc="Reply when no worker is bound to this connection: all were stopped.",
        handler=wait,
        role=Role.OPERATE,
        waits=True,
    ),
    Method(
        name="workers.stop",
        doc="Stop workers: they take no more jobs, running ones finish. Reply when no "
        "worker process is left. An interrupted job is pending again, and the attempt "
        "does not count.",
        handler=stop,
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
        errors=(ErrorCode.STORAGE_FULL, ErrorCode.STORAGE_ERROR),
    ),
    Method(
        name="workers.scale",
        doc="Have so many workers beside the bound ones: start what is missing, or "
        "stop what is too many as workers.stop does. Reply when the new ones are ready "
        "and the others gone.",
        handler=scale,
        role=Role.OPERATE,
        audit=("count", "timeout", "now"),
        params=(
            params.whole("count", "how many", maximum=MAX_WORKERS, required=True),
            _TIMEOUT,
            _NOW,
        ),
        result="{started: [WORKER], stopped: int, interrupted: int, wanted: int}",
        errors=(ErrorCode.STORAGE_FULL, ErrorCode.STORAGE_ERROR),
    ),
)
