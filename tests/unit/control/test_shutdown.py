"""Which request to end the daemon overrides which."""

import pytest

from helpers.asynchronous import asynchronous
from queuectld.control.shutdown import Shutdown, StopMode

STOP, NOW, RESTART = StopMode


@pytest.mark.parametrize(
    ("requests", "ending"),
    [
        (["stop"], STOP),
        (["stop", "stop"], STOP),
        (["stop", "signalled"], STOP),
        (["signalled", "stop"], STOP),
        (["signalled", "signalled"], NOW),
        (["stop", "stop_now"], NOW),
        (["stop_now", "stop"], NOW),
        (["stop", "restart"], RESTART),
        (["restart", "stop"], RESTART),
        (["restart", "stop_now"], NOW),
    ],
)
@asynchronous
async def test_requests(requests: list[str], ending: StopMode) -> None:
    """Repeated requests of clients change nothing; a second signal means now."""
    shutdown = Shutdown()
    for request in requests:
        getattr(shutdown, request)()
    await shutdown.requested()
    assert shutdown.ending is ending
    assert shutdown.restarts is (ending is RESTART)
