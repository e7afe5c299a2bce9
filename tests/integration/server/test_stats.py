"""Statistics that take long do not delay other requests."""

import asyncio
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any, cast

from helpers.serving import Moment, serving
from helpers.waiting import until
from queuectl_protocol.vocabulary import Role
from queuectld.clock import SystemClock
from queuectld.server.connection.admission import REPLIES_AT_WORK
from queuectld.server.dispatch import METHODS
from queuectld.server.methods.stats import StatsMethods
from queuectld.server.schema.method import Method, Result


class Sums:
    """A broker whose statistics never come."""

    def __init__(self) -> None:
        self.asked = Moment()

    async def stats(self, _since: int | None) -> Any:
        """Never return."""
        self.asked.happen()
        await asyncio.Event().wait()


async def large(_call: object) -> Result:
    """Return nothing."""
    return {}


LARGE = Method(name="large", doc="", handler=large, role=Role.READ, bulky=True)


def test_statistics_hold_up_nobody_else() -> None:
    """Many clients that ask for them delay no other; the requests end with them."""
    sums = Sums()
    stats = METHODS["stats"].bound_to(
        StatsMethods(
            broker=cast("Any", SimpleNamespace(stats=sums.stats)),
            supervisor=cast("Any", None),
            clock=SystemClock(),
        )
    )
    with serving({"stats": stats, "large": LARGE}) as served:
        with served.connect() as other, ExitStack() as stack:
            asking = [
                stack.enter_context(served.connect()) for _ in range(REPLIES_AT_WORK)
            ]
            for client in asking:
                client.send("stats")
            sums.asked.wait(REPLIES_AT_WORK)
            assert other.call("large") == {}
            assert served.released.count == 0
        until(lambda: served.released.count == REPLIES_AT_WORK + 1, "they are all gone")
