"""A job that resists, in ways that need another user or a broken disk in reality."""

import math
from dataclasses import dataclass

import pytest

from helpers.clocks import StandingClock
from queuectl_protocol.vocabulary import Reason
from queuectld.linux import procfs
from queuectld.linux.procfs import Process, ProcessId
from queuectld.workers.shared import messages
from queuectld.workers.shared.outputs import OutputFiles
from queuectld.workers.worker_side import descendants, running_job
from queuectld.workers.worker_side.descendants import Exit

MAIN = ProcessId(77, 5)
CHILD = Process(78, "sudo", "S", 77, 78, 78, 1, 6)
JOB = messages.RunJob(1, 1, 1, "j", "x", None, None, None, 10, 2, 0)
ENDED = Exit(status=3 << 8, max_rss=1, user_ms=1, system_ms=1)


@dataclass
class Kernel:
    """Stands in for the processes below the worker.

    Attributes:
        ended: the main process's end, once; None while it runs.
        left: whether children are left after that.
        refuses: the child runs as another user.
        killable: something below that child does not.
    """

    ended: Exit | None = None
    left: bool = True
    refuses: bool = False
    killable: bool = False
    terminated: int = 0
    killed: int = 0

    def reap(self, _main: int | None) -> tuple[Exit | None, bool]:
        """Return the main process's end, the first time."""
        ended, self.ended = self.ended, None
        return ended, self.left

    def living(self) -> list[Process]:
        """Return the child while there is one."""
        return [CHILD] if self.left else []

    def terminate(self, _entries: list[Process], _main: int | None) -> None:
        """Count."""
        self.terminated += 1

    def kill_children(self) -> tuple[list[int], bool]:
        """Count, and refuse where the child is another user's."""
        self.killed += 1
        return ([CHILD.pid], False) if self.refuses else ([], True)

    def kill_all(self) -> bool:
        """Return whether something below that child could be killed."""
        return self.killable


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    fake = Kernel()
    for name in ("reap", "living", "terminate", "kill_children", "kill_all"):
        monkeypatch.setattr(descendants, name, getattr(fake, name))
    monkeypatch.setattr(procfs, "process", lambda _pid: CHILD)
    return fake


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


@pytest.fixture
def running(kernel: Kernel, clock: StandingClock) -> running_job.RunningJob:
    del kernel  # it only has to be there first
    return running_job.RunningJob(JOB, MAIN, OutputFiles(-1, -1), clock)


def pass_time(
    running: running_job.RunningJob, clock: StandingClock, seconds: float
) -> None:
    """Let time pass, with a tick whenever one is due."""
    end = clock.monotonic() + seconds
    while (due := running.due) <= end:
        # The clock has whole milliseconds; a tick may come late, never early.
        clock.advance(math.ceil(max(0, due - clock.monotonic()) * 1000) / 1000)
        running.tick()
    clock.advance(end - clock.monotonic())


def test_nothing_is_due_before_the_timeout(
    running: running_job.RunningJob, clock: StandingClock, kernel: Kernel
) -> None:
    """A job without an output limit wakes its worker only for its timeout."""
    assert running.due == clock.monotonic() + JOB.timeout
    pass_time(running, clock, 9.9)
    assert (kernel.terminated, kernel.killed) == (0, 0)


def test_timeout_then_grace_then_kill(
    running: running_job.RunningJob, clock: StandingClock, kernel: Kernel
) -> None:
    """SIGTERM once at the timeout; SIGKILL after the grace, until it is over."""
    pass_time(running, clock, 10.1)
    assert (kernel.terminated, kernel.killed) == (1, 0)
    pass_time(running, clock, 2)
    assert kernel.terminated == 1
    assert kernel.killed > 1
    kernel.ended, kernel.left = ENDED, False
    running.child_ended()
    assert running.over


def test_kills_are_not_a_busy_loop(
    running: running_job.RunningJob, clock: StandingClock, kernel: Kernel
) -> None:
    """SIGKILL is repeated, more and more rarely, and the operator is told once."""
    running.end(Reason.CANCELLED, 0)
    pass_time(running, clock, running_job.STUBBORN_AFTER + 60)
    assert kernel.killed < 80
    (sentence,) = running.trouble
    assert "process 78 (sudo, state S)" in sentence
    assert "after SIGKILL" in sentence
    assert not running.over


def test_leftover_of_another_user(
    running: running_job.RunningJob, clock: StandingClock, kernel: Kernel
) -> None:
    """A process of another user is left; the operator is told, and the worker exits."""
    kernel.refuses = True
    kernel.ended = ENDED
    running.child_ended()
    pass_time(running, clock, running_job.SETTLE_TIME + JOB.kill_grace - 0.1)
    assert not running.trouble
    pass_time(running, clock, 0.2)
    assert running.over
    assert running.abandoned
    assert "another user" in running.trouble[0]


def test_leftover_with_something_of_ours_below(
    running: running_job.RunningJob, clock: StandingClock, kernel: Kernel
) -> None:
    """Processes below one that may not be killed are killed first."""
    kernel.refuses = kernel.killable = True
    kernel.ended = ENDED
    running.child_ended()
    pass_time(running, clock, running_job.SETTLE_TIME + JOB.kill_grace + 0.1)
    assert not running.abandoned
    kernel.killable = False
    pass_time(running, clock, 2)
    assert running.over
    assert running.trouble


def test_main_process_of_another_user(
    running: running_job.RunningJob, clock: StandingClock, kernel: Kernel
) -> None:
    """A main process is never left: another attempt could run at the same time."""
    kernel.refuses = True
    running.end(Reason.CANCELLED, 0)
    pass_time(running, clock, 3600)
    assert not running.over
    assert len(running.trouble) == 1


def test_first_reason_stays(
    running: running_job.RunningJob, clock: StandingClock, kernel: Kernel
) -> None:
    """A cancel that comes during a timeout only shortens the grace."""
    pass_time(running, clock, 10.1)
    running.end(Reason.CANCELLED, 1)
    pass_time(running, clock, 0.9)
    assert kernel.killed == 0
    running.end(Reason.INTERRUPTED, 100)
    pass_time(running, clock, 0.2)
    assert kernel.killed > 0
