"""Methods that count."""

from dataclasses import dataclass

from queuectl_protocol.vocabulary import Role
from queuectld.broker import Broker
from queuectld.clock import Clock
from queuectld.control.supervisor import Supervisor
from queuectld.operations import lookups
from queuectld.server import encoding
from queuectld.server.call import Call
from queuectld.server.schema import params
from queuectld.server.schema.method import READ_ERRORS, Method, Result


@dataclass(frozen=True, slots=True)
class StatsMethods:
    """Counts jobs, and what happened to them."""

    broker: Broker
    supervisor: Supervisor
    clock: Clock

    async def status(self, _call: Call) -> Result:
        """Return how many jobs are in each state, at a cost independent of these."""
        workers = self.supervisor.counts()
        tally = await self.broker.read(lookups.tally)
        return {
            **{state.value: count for state, count in tally.states.items()},
            "workers": {"active": workers.active, "busy": workers.busy},
            "draining": self.supervisor.draining,
            "ready": tally.ready,
            "delayed": tally.delayed,
            "trouble": self.broker.problem,
        }

    async def stats(self, call: Call, *, since: float | None) -> Result:
        """Return what happened in a span of time that ends now."""
        begin = None if since is None else self.clock.wall() - round(since * 1000)
        # Not ``bulky``: the reply is small, and while it waits for its turn in the
        # store no other client's large reply must wait for it.
        with call.waiting():
            async with call.room():
                return encoding.stats(await self.broker.stats(begin))


METHODS = (
    Method(
        name="status",
        doc="Return how many jobs are in each state, how many of those that wait are "
        "ready and how many delayed, and how many workers there are.",
        handler=StatsMethods.status,
        role=Role.READ,
        result="{pending: int, processing: int, completed: int, failed: int, "
        "dead: int, cancelled: int, workers: {active: int, busy: int}, draining: bool, "
        "ready: int, delayed: int, trouble: str | null}",
        errors=READ_ERRORS,
    ),
    Method(
        name="stats",
        doc="Return statistics, those of pruned jobs included. Times are in seconds; "
        "percentiles are within 5 per cent.",
        handler=StatsMethods.stats,
        role=Role.READ,
        params=(
            params.seconds("since", "the last so many; absent: from the first job"),
        ),
        result="{since: time, minutes: number, completed: int, dead: int, "
        "cancelled: int, failed_attempts: int, retries: int, lost: int, "
        "success_rate: number | null, run: SPREAD | null, wait: SPREAD | null, "
        "per_minute: number}",
        errors=READ_ERRORS,
    ),
)
