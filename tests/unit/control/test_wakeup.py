"""The one wait, and what ends it."""

import asyncio

from helpers.asynchronous import asynchronous
from helpers.clocks import StandingClock
from queuectld.control.wakeup import WakeUp


@asynchronous
async def test_a_wake_before_the_wait_is_not_lost() -> None:
    """It ends the next wait, and only that one."""
    wakeup = WakeUp(StandingClock())
    wakeup.wake()
    await wakeup.wait(None)
    second = asyncio.create_task(wakeup.wait(None))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not second.done()
    wakeup.wake()
    await second


@asynchronous
async def test_a_wait_ends_at_its_time() -> None:
    """A time that has passed ends it at once."""
    clock = StandingClock()
    await WakeUp(clock).wait(clock.monotonic() - 1)


@asynchronous
async def test_only_an_earlier_time_ends_the_wait() -> None:
    """What is due later is seen after the wait."""
    clock = StandingClock()
    wakeup, soon = WakeUp(clock), clock.monotonic() + 100
    waiting = asyncio.create_task(wakeup.wait(soon))
    await asyncio.sleep(0)
    wakeup.wake_by(soon + 1)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not waiting.done()
    wakeup.wake_by(soon - 1)
    await waiting
