"""A job that runs, from the spawn until none of its processes is left.

Owns the job's timeout, its output limit, and how its processes are ended. It is told
what happens (``child_ended``, ``end``, ``tick``) and never waits; ``due`` says when to
call it again.
"""

import math
import os
from enum import Enum, auto

from queuectl_protocol.vocabulary import Reason
from queuectld.clock import Clock
from queuectld.core.job import AttemptEnd
from queuectld.linux import procfs
from queuectld.linux.procfs import ProcessId
from queuectld.workers.shared import cgroup
from queuectld.workers.shared.messages import RunJob
from queuectld.workers.shared.outputs import OutputFiles
from queuectld.workers.worker_side import descendants, outcome

LOOK_INTERVAL = 1.0
"""Seconds between looks at the size of the output."""

SETTLE_TIME = 0.1
"""Seconds that processes which outlive the main process get before SIGTERM: the ``tee``
of ``cmd > >(tee log)`` always outlives its shell by a moment."""

_FIRST_PAUSE = 0.01
_LONGEST_PAUSE = 1.0

STUBBORN_AFTER = 5.0
"""Seconds of SIGKILL after which the operator is told."""

_NAMED = 5
"""The most processes that a sentence for the operator names."""


class Phase(Enum):
    """Where a job stands."""

    RUNNING = auto()
    """The main process runs and is to go on."""
    SETTLING = auto()
    """The main process ended by itself; others still run."""
    ENDING = auto()
    """SIGTERM was sent."""
    KILLING = auto()
    """SIGKILL is sent, again and again."""
    OVER = auto()
    """Nothing is left."""


class RunningJob:
    """A job whose main process was spawned.

    Attributes:
        job: what the daemon asked for.
        due: when to call ``tick``, on the monotonic clock; inf for never.
        over: none of its processes is left.
        pid: the main process, leader of the job's session.
        trouble: sentences for the operator, oldest first; the caller empties it.
        abandoned: processes of other users are left, which this one may not end.
    """

    def __init__(
        self,
        job: RunJob,
        main: ProcessId,
        files: OutputFiles,
        clock: Clock,
        group: str | None = None,
    ) -> None:
        self.job = job
        self.over = False
        self.pid = main.pid
        self.trouble: list[str] = []
        self.abandoned = False
        self.started_at = clock.wall()
        self._files = files
        self._group = group
        self._clock = clock
        now = clock.monotonic()
        self._phase = Phase.RUNNING
        self._timeout_at = now + job.timeout if job.timeout else math.inf
        self._look_at = now + LOOK_INTERVAL if job.output_limit else math.inf
        self.due = min(self._timeout_at, self._look_at)
        self._stubborn_at = math.inf
        self._pause = _FIRST_PAUSE
        self._end_reason: Reason | None = None
        self._exit: descendants.Exit | None = None
        self._finished_at = 0
        self._left_behind = 0

    def tick(self) -> None:
        """Do what is due."""
        now = self._clock.monotonic()
        if now < self.due:
            return
        match self._phase:
            case Phase.RUNNING if now >= self._timeout_at:
                self._exceeded(Reason.TIMEOUT)
            case Phase.RUNNING:
                self._look(now)
            case Phase.SETTLING:
                self._terminate(self.job.kill_grace)
            case Phase.ENDING | Phase.KILLING:
                self._kill()
            case Phase.OVER:
                return

    def child_ended(self) -> None:
        """Reap what ended, after SIGCHLD."""
        self._reap()
        if self._phase is Phase.KILLING:
            # The children of the dead are ours now: kill them before they fork again.
            self.due = 0

    def end(self, reason: Reason, grace: float) -> None:
        """End the job. The first reason and the least grace count.

        Args:
            reason: what to report, unless the main process has ended by itself.
            grace: seconds between SIGTERM and SIGKILL; 0: SIGKILL at once.
        """
        # It may have ended by itself already; then that is what to report.
        self._reap()
        match self._phase:
            case Phase.RUNNING:
                self._end_reason = reason
                self._terminate(grace)
            case Phase.SETTLING:
                self._terminate(grace)
            case Phase.ENDING:
                self.due = min(self.due, self._clock.monotonic() + grace)
            case Phase.KILLING | Phase.OVER:
                return

    def result(
        self, memory: procfs.MemoryWatch, own_memory: procfs.OwnMemory
    ) -> AttemptEnd:
        """Return how it ended, once it is over; close its files, remove its cgroup."""
        assert self._exit is not None
        stdout, stderr = self._files.sizes()
        if self.job.user is not None:
            self._files.take_back()
        self._files.close()
        usage = self._end_group()
        facts = outcome.Facts(
            started_at=self.started_at,
            finished_at=self._finished_at,
            end_reason=self._end_reason,
            exit=self._exit,
            left_behind=self._left_behind,
            max_rss=own_memory.own(self._exit.max_rss),
            short_of_memory=self._killed_from_outside() and memory.ran_out(),
            stdout=stdout,
            stderr=stderr,
            usage=usage,
        )
        return outcome.ended(self.job, facts)

    def _end_group(self) -> cgroup.Usage | None:
        if self._group is None:
            return None
        usage = cgroup.usage(self._group)
        if not cgroup.remove(self._group):
            # Somebody has moved a process into it that is not the job's.
            cgroup.end(self._group, within=STUBBORN_AFTER)
        return usage

    def _killed_from_outside(self) -> bool:
        exit_ = self._exit
        killed = exit_ is not None and os.WIFSIGNALED(exit_.status)
        return killed and self._end_reason is None

    def _reap(self) -> None:
        # After it is reaped, an orphan may get its pid.
        ended, left = descendants.reap(None if self._exit else self.pid)
        if ended:
            self._exit = ended
            self._finished_at = self._clock.wall()
        if self._exit is None:
            return
        if not left:
            self._is_over()
        elif self._phase is Phase.RUNNING:
            self._phase = Phase.SETTLING
            self.due = self._clock.monotonic() + SETTLE_TIME

    def _is_over(self) -> None:
        self._phase = Phase.OVER
        self.over = True
        self.due = math.inf

    def _look(self, now: float) -> None:
        if sum(self._files.sizes()) > self.job.output_limit:
            self._exceeded(Reason.OUTPUT_LIMIT)
        else:
            self._look_at = now + LOOK_INTERVAL
            self.due = min(self._timeout_at, self._look_at)

    def _exceeded(self, limit: Reason) -> None:
        self._reap()
        if self._phase is Phase.RUNNING:
            self._end_reason = limit
            self._terminate(self.job.kill_grace)

    def _terminate(self, grace: float) -> None:
        living = descendants.living()
        if self._exit:
            self._left_behind = len(living)
        if grace <= 0:
            self._kill()
            return
        self._phase = Phase.ENDING
        self.due = self._clock.monotonic() + grace
        descendants.terminate(living, None if self._exit else self.pid)

    def _kill(self) -> None:
        now = self._clock.monotonic()
        if self._phase is not Phase.KILLING:
            self._phase = Phase.KILLING
            self._stubborn_at = now + STUBBORN_AFTER
        if self._group is not None:
            cgroup.kill(self._group)
        refused, others = descendants.kill_children()
        if not others and self._only_others_left(refused):
            self._abandon(refused)
            return
        if now >= self._stubborn_at:
            self._tell_stubborn()
        self.due = now + self._pause
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)

    def _only_others_left(self, refused: list[int]) -> bool:
        """Whether all processes left run as other users, and in no cgroup."""
        if not refused or self._group is not None or self._exit is None:
            return False
        return not descendants.kill_all()

    def _abandon(self, refused: list[int]) -> None:
        # Never the main process: another attempt could run at the same time.
        self.trouble.append(f"cannot end {_name(refused)}: it runs as another user")
        self.abandoned = True
        self._is_over()

    def _tell_stubborn(self) -> None:
        still = [entry.pid for entry in descendants.living()]
        if still:
            self.trouble.append(
                f"{_name(still)} is still there {STUBBORN_AFTER:g}s after SIGKILL: "
                "it waits for a device or a server, or runs as another user"
            )
        self._stubborn_at = math.inf


def _name(pids: list[int]) -> str:
    entries = filter(None, map(procfs.process, pids[:_NAMED]))
    return ", ".join(f"process {e.pid} ({e.name}, state {e.state})" for e in entries)
