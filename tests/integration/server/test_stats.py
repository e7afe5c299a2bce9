"""Statistics that take long: who asks for something else does not wait for them."""

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
from queuectld.server.methods.stats import Stats
from queuectld.server.schema.method import Method, Result


class Sums:
    """Sums that take as long as a test likes."""

    def __init__(self) -> None:
        self.asked = Moment()

    async def stats(self, _since: int | None) -> Any:
        """Never return."""
        self.asked.happen()
        await asyncio.Event().wait()


async def large(_call: object) -> Result:
    """Answer, as ``get`` does."""
    return {}


LARGE = Method(name="large", doc="", handler=large, role=Role.READ, bulky=True)


def test_statistics_hold_up_nobody_else() -> None:
    """However many clients ask for them; and they end with their clients."""
    sums = Sums()
    stats = METHODS["stats"].bound_to(
        Stats(
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
