"""The request to end the daemon, and which request overrides which.

Signals, clients and faults make requests here. ``draining`` and the composition root
carry them out.
"""

import asyncio
from enum import Enum


class StopMode(Enum):
    """How the daemon ends; a later request overrides an earlier one."""

    STOP = "stop"
    NOW = "now"
    RESTART = "restart"


class Shutdown:
    """The latest request to end.

    Attributes:
        ending: how to end; None: there is no request.
    """

    def __init__(self) -> None:
        self.ending: StopMode | None = None
        self._requested = asyncio.Event()
        self._signals = 0  # that ask for a stop

    def stop(self) -> None:
        """End after the running jobs. A repeated request changes nothing."""
        if self.ending is None:
            self._request(StopMode.STOP)

    def stop_now(self) -> None:
        """Kill the running jobs and end."""
        self._request(StopMode.NOW)

    def restart(self) -> None:
        """End at once and leave the workers to the next daemon."""
        self._request(StopMode.RESTART)

    def signalled(self) -> None:
        """Take a signal for a stop; a second one means: now.

        A request of a client never means that, however often it comes: a client may
        repeat one whose reply it has not seen, and two clients do not know of each
        other.
        """
        self._signals += 1
        if self._signals == 1:
            self.stop()
        else:
            self.stop_now()

    @property
    def restarts(self) -> bool:
        """Whether running jobs are left alone."""
        return self.ending is StopMode.RESTART

    async def requested(self) -> None:
        """Wait for a request since the last return."""
        await self._requested.wait()
        self._requested.clear()

    def _request(self, ending: StopMode) -> None:
        self.ending = ending
        self._requested.set()
