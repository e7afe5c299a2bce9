"""What committed writes make due: jobs to claim, jobs to make ready, and housekeeping.

The broker reports every commit here. The agenda remembers what is to be done until the
scheduler and the housekeeping ask, and wakes the scheduler only if it must look now. It
reads no store and starts nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass

from queuectld.clock import Clock
from queuectld.control.wakeup import WakeUp

PRUNE_AFTER = 3600.0
CHECKPOINT_AFTER = 5.0
"""Seconds after a write. Both timers are armed by writes only."""


@dataclass(slots=True)
class Timer:
    """A moment, on the monotonic clock, at which something is due."""

    at: float | None = None

    def arm(self, at: float) -> None:
        """Be due at that time, or at an earlier one that was set before."""
        if self.at is None or at < self.at:
            self.at = at

    def due(self, now: float) -> bool:
        """Whether the time has come; then the timer is disarmed."""
        if self.at is None or now < self.at:
            return False
        self.at = None
        return True


class Agenda:
    """What is to be done because of what was committed.

    Attributes:
        ready: there may be a ready job.
        workers_wait: the last claim left workers idle. Otherwise a ready job is no
            reason to wake the scheduler.
        next_run_at: milliseconds since 1970 at which the next delayed job becomes
            ready, or one expires; 0: not known, look; None: there is none.
        prune: when to look for jobs that ``retention`` applies to.
        checkpoint: when to empty the store's log.
    """

    def __init__(
        self, clock: Clock, wakeup: WakeUp, on_write: Callable[[], None]
    ) -> None:
        """Begin with everything due: the store is not known yet.

        Args:
            clock: its monotonic side is used.
            wakeup: ends the scheduler's wait.
            on_write: called after each committed write.
        """
        self._clock = clock
        self._wakeup = wakeup
        self._on_write = on_write
        self.ready = True
        self.workers_wait = False
        self.next_run_at: int | None = 0
        self.prune = Timer(clock.monotonic() + PRUNE_AFTER)
        self.checkpoint = Timer()

    def job_waits(self, run_at: int | None) -> None:
        """A job waits for a worker (None), or for a time: see ``CommitObserver``."""
        if run_at is None:
            self.ready = True
            if not self.workers_wait:
                return  # a worker that becomes idle wakes the scheduler
        elif self.next_run_at is None or run_at < self.next_run_at:
            self.next_run_at = run_at
        else:
            return
        self._wakeup.wake()

    def in_doubt(self) -> None:
        """Nobody knows what was committed: perhaps a job waits, now or for its time."""
        self.ready = True
        self.next_run_at = 0
        self._wakeup.wake()

    def written(self) -> None:
        """Something was committed."""
        now = self._clock.monotonic()
        self.prune.arm(now + PRUNE_AFTER)
        if self.checkpoint.at is None:
            self._wakeup.wake()  # to wait for it
        # The last write of a burst counts: during one, SQLite checkpoints by itself.
        self.checkpoint.at = now + CHECKPOINT_AFTER
        self._on_write()
