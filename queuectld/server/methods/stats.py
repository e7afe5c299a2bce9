"""Methods that count."""

from queuectl_protocol.errors import ErrorCode
from queuectl_protocol.vocabulary import Role
from queuectld.server import encoding, params
from queuectld.server.call import Call
from queuectld.server.method import Method, Result


async def status(call: Call) -> Result:
    """Return how many jobs are in each state. Costs the same for any number."""
    supervisor = call.context.supervisor
    workers = supervisor.counts()
    tally = await call.context.broker.tally()
    return {
        **{state.value: count for state, count in tally.states.items()},
        "workers": {
            "active": workers.active,
            "busy": workers.busy,
        },
        "draining": supervisor.draining,
        "ready": tally.ready,
        "delayed": tally.delayed,
        "trouble": call.context.broker.trouble,
    }


async def stats(call: Call, *, since: float | None) -> Result:
    """Return what happened in a span of time that ends now."""
    context = call.context
    begin = None if since is None else context.clock.wall() - round(since * 1000)
    # Not among the large replies of all clients (``bulky``): it is small, and waits for
    # its turn at the sums, in which nobody else is to wait for it.
    with call.waiting():
        async with call.room():
            return encoding.stats(await context.broker.stats(begin))


METHODS = (
    Method(
        name="status",
        doc="Return how many jobs are in each state, how many of those that wait are "
        "ready and how many delayed, and how many workers there are.",
        handler=status,
        role=Role.READ,
        result="{pending: int, processing: int, completed: int, failed: int, "
        "dead: int, cancelled: int, workers: {active: int, busy: int}, draining: bool, "
        "ready: int, delayed: int, trouble: str | null}",
        errors=(ErrorCode.STORAGE_ERROR,),
    ),
    Method(
        name="stats",
        doc="Return statistics, those of pruned jobs included. Times are in seconds; "
        "percentiles are within 5 per cent.",
        handler=stats,
        role=Role.READ,
        params=(
            params.seconds("since", "the last so many; absent: from the first job"),
        ),
        result="{since: time, minutes: number, completed: int, dead: int, "
        "cancelled: int, failed_attempts: int, retries: int, lost: int, "
        "success_rate: number | null, run: SPREAD | null, wait: SPREAD | null, "
        "per_minute: number}",
        errors=(ErrorCode.STORAGE_ERROR,),
    ),
)
