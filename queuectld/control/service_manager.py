"""What a service manager is told of a running daemon: it lives, what it does, how long.

Owns the signs of life, the status line and the requests for time. Without a manager it
does nothing at all. Of an idle daemon it wakes nothing but what the manager asked for:
the watchdog's rounds. See sd_notify(3) for what each message means.
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
"""Seconds that a start may take: to migrate a large database, mostly, while nothing
else can be done or said."""

EXTENSION = 10.0
"""Seconds of time that are asked for at once while the daemon ends: one that hangs over
it is killed that much later at most."""

STATUS_EVERY = 1.0
"""Seconds between two status lines, at least."""

STATUS_SETTLES = 0.1
"""Seconds from a change to its status line, at least: what goes with a commit, such as
the start of a worker, happens just after it."""

STATUS_AGAIN = 10.0
"""Seconds until a status that could not be told, or found out, is tried again."""

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
            notifier: speaks to it.
            pid: its own.
            beat: seconds between two signs of life; None: it wants none.
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
        self._told = ""  # the last status that was sent
        self._told_at = 0.0
        self._telling = False
        self._changed = False  # since it was looked at last
        self._broker: Broker
        self._pool: Pool

    @classmethod
    def take(cls, environ: MutableMapping[str, str], clock: Clock) -> "ServiceManager":
        """Return the manager of this environment, and take its variables away."""
        notifier = sd_notify.Notifier.take(environ)
        beat = sd_notify.take_watchdog(environ, os.getpid())
        return cls(notifier, sd_notify.manager_pid(environ), beat, clock)

    # -- phases -------------------------------------------------------------------

    def starting(self, status: str) -> None:
        """The daemon begins with a part of its start."""
        self._notifier.status(f"starting: {status}")
        self._notifier.extend(START_WITHIN)

    async def ready(self, store: Store, broker: Broker, pool: Pool) -> None:
        """The socket answers: say so, and go on telling."""
        if not self._notifier.heard:
            return
        self._broker, self._pool = broker, pool
        await self._look()
        self._notifier.ready(self._status, main_pid=self._main_pid())
        self._tells(self._status)
        self._live = True
        self.changed()  # what was written while this looked
        if self._beat is not None:
            self._begin(self._keep_watchdog(store, self._beat))

    def reloading(self) -> None:
        """The configuration is being read again; ``reloaded`` must follow."""
        if self._live and not self._ending:
            self._notifier.reloading(self._clock.monotonic())

    def reloaded(self) -> None:
        """It has been read, or refused: all goes on."""
        if self._live and not self._ending:
            self._notifier.ready(self._status)
            self._tells(self._status)

    def draining(self, within: float) -> None:
        """Running jobs are waited for, and ended, in so many seconds at most."""
        self._end("draining", within)

    def restarting(self, within: float) -> None:
        """The daemon ends in so many seconds at most, and leaves running jobs alone."""
        self._end("restarting", within)

    async def close(self) -> None:
        """Be silent from now on."""
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
        self._tells(self._status)
        if self._more_time is not None:
            self._more_time.cancel()
        self._more_time = self._begin(self._ask_for_time(within))

    async def _ask_for_time(self, within: float) -> None:
        """Ask for a little time, again and again: only a loop that turns can."""
        end = self._clock.monotonic() + within
        while (left := end - self._clock.monotonic()) > 0:
            self._notifier.extend(min(left, EXTENSION))
            await asyncio.sleep(EXTENSION / 2)

    def _main_pid(self) -> int | None:
        """Return what to say of which process is the main one; None: nothing.

        The manager started this process, and knows; or one that has put this into the
        background and is gone, and then it must hear. But where a script in between
        waits for this process, the manager is better off with the script: systemd does
        not see the end of a main process that is not its own child, and so, on a stop,
        kills it right after SIGTERM instead of waiting for its jobs.
        """
        return os.getpid() if os.getppid() == self._pid else None

    # -- the status ---------------------------------------------------------------

    def changed(self) -> None:
        """Jobs or workers may be others now: tell it soon, but not too often."""
        self._changed = True
        if self._live and self._timer is None and not self._telling:
            every = self._told_at + STATUS_EVERY - self._clock.monotonic()
            self._tell_in(max(STATUS_SETTLES, every))

    def _tell_in(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(seconds, self._tell_now)

    def _tell_now(self) -> None:
        self._timer = None
        self._begin(self._tell())

    async def _tell(self) -> None:
        """Tell the status if it is another one; come again if it may not be the last.

        Never by two at a time, however long the store takes to answer.
        """
        self._telling, self._changed = True, False
        try:
            known = await self._look()
        finally:
            self._telling = False
        if self._status == self._told or self._notifier.status(self._status):
            self._tells(self._status)
        else:
            known = False
        if not known:
            self._tell_in(STATUS_AGAIN)
        elif self._changed or any(not worker.ready for worker in self._pool):
            # Workers are started one after the other, with no commit between them.
            self._tell_in(STATUS_EVERY)

    def _tells(self, status: str) -> None:
        self._told = status
        self._told_at = self._clock.monotonic()

    async def _look(self) -> bool:
        """Find out what the status is; return whether that could be done."""
        try:
            counts = await self._broker.read(lookups.counts)
        except StoreError:
            self._status = self._status or "ready"
            return False
        # It may have been asked to end while it looked.
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
        """Say that loop and store are alive, each time both have just shown it."""
        while True:
            begun = self._clock.monotonic()
            # Before the manager's patience, of two beats, is over.
            await self._answer(store, beat / 2)
            self._notifier.watchdog()
            # A round that took long must not make the next sign of life later still.
            rest = begun + beat - self._clock.monotonic()
            await asyncio.sleep(max(0.0, rest))

    async def _answer(self, store: Store, within: float) -> None:
        """Wait for the store, however long; say in the log that it does not answer."""
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
