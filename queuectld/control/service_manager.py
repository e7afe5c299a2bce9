"""Keeps the service manager informed: the phase, the status line, signs of life.

Without a manager it does nothing. An idle daemon wakes up only for what the manager
asked for, the watchdog. See sd_notify(3) for the meaning of each message.
"""

import asyncio
import os
from collections.abc import Coroutine, Mapping, MutableMapping
from typing import Any

from queuectl_protocol.vocabulary import JobState
from queuectld.broker import Broker
from queuectld.clock import Clock
from queuectld.host import logs, sd_notify
from queuectld.operations import lookups
from queuectld.store.api import Store, StoreError
from queuectld.workers.daemon_side.pool import Pool

START_WITHIN = 600.0
"""Seconds that a start may take, mostly to migrate a large database. Nothing else can
be done or sent meanwhile."""

EXTENSION = 10.0
"""Seconds that are asked for at once while the daemon ends: a daemon that hangs is
killed at most that much later."""

STATUS_EVERY = 1.0
"""The least seconds between two status lines."""

STATUS_SETTLES = 0.1
"""The least seconds from a change to its status line: the effects of a commit, such as
the start of a worker, happen just after it."""

STATUS_AGAIN = 10.0
"""Seconds until a status that could not be read or sent is tried again."""

_events = logs.get("manager")


class ServiceManager:
    """The service manager, if there is one."""

    def __init__(
        self,
        notifier: sd_notify.Notifier,
        pid: int,
        beat: float | None,
        clock: Clock,
    ) -> None:
        """Begin in the phase of starting.

        Args:
            notifier: sends the messages.
            pid: the manager's.
            beat: seconds between two signs of life; None: none are wanted.
            clock: its monotonic side is used.
        """
        self._notifier = notifier
        self._pid = pid
        self._beat = beat
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()
        self._more_time: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._live = False  # between ``ready`` and ``close``
        self._ending = ""  # the phase in one word, if it is one of the end
        self._status = ""
        self._sent_status = ""  # the last status that was sent
        self._sent_at = 0.0
        self._updating = False
        self._changed = False  # since it was looked at last
        self._broker: Broker
        self._pool: Pool

    @classmethod
    def take(cls, environ: MutableMapping[str, str], clock: Clock) -> "ServiceManager":
        """Return the manager of this environment, and remove its variables."""
        notifier = sd_notify.Notifier.take(environ)
        beat = sd_notify.take_watchdog(environ, os.getpid())
        return cls(notifier, sd_notify.manager_pid(environ), beat, clock)

    # -- phases -------------------------------------------------------------------

    def starting(self, status: str) -> None:
        """A part of the daemon's start begins."""
        self._notifier.status(f"starting: {status}")
        self._notifier.extend(START_WITHIN)

    async def ready(self, store: Store, broker: Broker, pool: Pool) -> None:
        """Report that the socket answers, and from now on what the daemon does."""
        if not self._notifier.heard:
            return
        self._broker, self._pool = broker, pool
        await self._look()
        self._notifier.ready(self._status, main_pid=self._main_pid())
        self._note_sent(self._status)
        self._live = True
        self.changed()  # there may have been writes since the look
        if self._beat is not None:
            self._begin(self._keep_watchdog(store, self._beat))

    def reloading(self) -> None:
        """The configuration is being read again; ``reloaded`` must follow."""
        if self._live and not self._ending:
            self._notifier.reloading(self._clock.monotonic())

    def reloaded(self) -> None:
        """It has been read, or refused."""
        if self._live and not self._ending:
            self._notifier.ready(self._status)
            self._note_sent(self._status)

    def draining(self, within: float) -> None:
        """Running jobs finish, or are ended, in so many seconds at most."""
        self._end("draining", within)

    def restarting(self, within: float) -> None:
        """The daemon ends in so many seconds at most, and leaves running jobs alone."""
        self._end("restarting", within)

    async def close(self) -> None:
        """Send nothing from now on."""
        self._live = False
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _end(self, phase: str, within: float) -> None:
        self._ending = phase
        if not self._live:
            return
        self._status = self._summary_of_end()
        self._notifier.stopping(self._status)
        self._note_sent(self._status)
        if self._more_time is not None:
            self._more_time.cancel()
        self._more_time = self._begin(self._ask_for_time(within))

    async def _ask_for_time(self, within: float) -> None:
        """Ask for a little time again and again: a loop that hangs cannot do this."""
        end = self._clock.monotonic() + within
        while (left := end - self._clock.monotonic()) > 0:
            self._notifier.extend(min(left, EXTENSION))
            await asyncio.sleep(EXTENSION / 2)

    def _main_pid(self) -> int | None:
        """Return the pid to report as the main process; None: report none.

        The manager may have started a process that put this one into the background and
        ended; then it must be told. But if a script waits for this process, the manager
        must keep the script as the main process: systemd does not see the end of a main
        process that is not its child, and on a stop kills it right after SIGTERM,
        instead of waiting for its jobs.
        """
        return os.getpid() if os.getppid() == self._pid else None

    # -- the status ---------------------------------------------------------------

    def changed(self) -> None:
        """Jobs or workers may have changed: send a status soon, but not too often."""
        self._changed = True
        if self._live and self._timer is None and not self._updating:
            every = self._sent_at + STATUS_EVERY - self._clock.monotonic()
            self._update_in(max(STATUS_SETTLES, every))

    def _update_in(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(seconds, self._update_now)

    def _update_now(self) -> None:
        self._timer = None
        self._begin(self._update())

    async def _update(self) -> None:
        """Send the status if it is a new one; look again later if it may change.

        Only one call at a time, however long the store takes to answer.
        """
        self._updating, self._changed = True, False
        try:
            known = await self._look()
        finally:
            self._updating = False
        if self._status == self._sent_status or self._notifier.status(self._status):
            self._note_sent(self._status)
        else:
            known = False
        if not known:
            self._update_in(STATUS_AGAIN)
        elif self._changed or any(not worker.ready for worker in self._pool):
            # Workers are started one after the other, without a commit between them.
            self._update_in(STATUS_EVERY)

    def _note_sent(self, status: str) -> None:
        self._sent_status = status
        self._sent_at = self._clock.monotonic()

    async def _look(self) -> bool:
        """Read the status; return whether that succeeded."""
        try:
            counts = await self._broker.read(lookups.counts)
        except StoreError:
            self._status = self._status or "ready"
            return False
        # A request to end may have come meanwhile.
        self._status = self._summary_of_end() if self._ending else self._summary(counts)
        return True

    def _summary(self, counts: Mapping[JobState, int]) -> str:
        queued = counts[JobState.PENDING] + counts[JobState.FAILED]
        workers = len(self._pool.workers)
        return (
            f"{counts[JobState.PROCESSING]} running, {queued} queued, "
            f"{workers} worker{'s' * (workers != 1)}"
        )

    def _summary_of_end(self) -> str:
        busy = sum(worker.attempt is not None for worker in self._pool)
        jobs = f"{busy} job{'s' * (busy != 1)}"
        if self._ending == "draining":
            return f"draining {jobs}"
        goes = "goes" if busy == 1 else "go"
        return f"restarting: {jobs} {goes} on" if busy else "restarting"

    # -- the watchdog -------------------------------------------------------------

    async def _keep_watchdog(self, store: Store, beat: float) -> None:
        """Send a sign of life each time after the loop and the store have answered."""
        while True:
            begun = self._clock.monotonic()
            # The manager waits for two beats.
            await self._answer(store, beat / 2)
            self._notifier.watchdog()
            # A long round must not delay the next sign of life further.
            rest = begun + beat - self._clock.monotonic()
            await asyncio.sleep(max(0.0, rest))

    async def _answer(self, store: Store, within: float) -> None:
        """Wait for the store, however long; log if it does not answer in time."""
        round_ = asyncio.ensure_future(store.alive())
        try:
            if not (await asyncio.wait({round_}, timeout=within))[0]:
                _events.error("store_silent", seconds=within)
            await round_
        finally:
            round_.cancel()

    # -- tasks --------------------------------------------------------------------

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _events.exception("manager_not_told", error)
