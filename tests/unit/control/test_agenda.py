"""What a commit makes due, and when it wakes the scheduler."""

import pytest

from helpers.clocks import StandingClock
from queuectld.control.agenda import CHECKPOINT_AFTER, Agenda, Timer


class CountingWakeUp:
    """Counts how often it is asked to wake.

    Attributes:
        count: so many times.
    """

    count = 0

    def wake(self) -> None:
        """Count."""
        self.count += 1


@pytest.fixture
def wakeup() -> CountingWakeUp:
    """Nothing has been woken yet."""
    return CountingWakeUp()


@pytest.fixture
def agenda(wakeup: CountingWakeUp) -> Agenda:
    """The store has been looked at, and nothing was due."""
    agenda = Agenda(StandingClock(), wakeup, on_write=lambda: None)  # type: ignore[arg-type]
    agenda.ready, agenda.next_run_at = False, None
    return agenda


@pytest.mark.parametrize("idle", [True, False])
def test_a_ready_job_wakes_the_scheduler_if_workers_are_idle(
    agenda: Agenda, wakeup: CountingWakeUp, *, idle: bool
) -> None:
    """Otherwise a worker that becomes idle does, and the job is remembered."""
    agenda.workers_wait = idle
    agenda.job_waits(None)
    assert agenda.ready
    assert wakeup.count == idle


def test_only_an_earlier_delayed_job_wakes_the_scheduler(
    agenda: Agenda, wakeup: CountingWakeUp
) -> None:
    """The scheduler waits for the earliest job already."""
    for run_at, count in ((2000, 1), (3000, 1), (2000, 1), (1000, 2)):
        agenda.job_waits(run_at)
        assert wakeup.count == count
    assert agenda.next_run_at == 1000
    assert not agenda.ready


def test_after_a_doubtful_commit_everything_is_looked_at(
    agenda: Agenda, wakeup: CountingWakeUp
) -> None:
    """Jobs may be ready now, or become ready at any time."""
    agenda.in_doubt()
    assert (agenda.ready, agenda.next_run_at, wakeup.count) == (True, 0, 1)


def test_a_burst_of_writes_wakes_the_scheduler_once(wakeup: CountingWakeUp) -> None:
    """The checkpoint is due some seconds after the last write."""
    clock, written = StandingClock(), []
    agenda = Agenda(clock, wakeup, on_write=lambda: written.append(1))  # type: ignore[arg-type]
    for _ in range(3):
        clock.advance(1)
        agenda.written()
    assert (wakeup.count, len(written)) == (1, 3)
    assert agenda.checkpoint.at == clock.monotonic() + CHECKPOINT_AFTER


def test_a_timer_is_due_once_at_the_earliest_time_it_was_armed_for() -> None:
    """Then it must be armed again."""
    timer = Timer()
    assert not timer.due(10)
    timer.arm(5)
    timer.arm(7)
    assert not timer.due(4)
    assert timer.due(5)
    assert not timer.due(5)
