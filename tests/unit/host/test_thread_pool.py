"""Threads for one kind of work."""

import asyncio
import threading

import pytest

from helpers.asynchronous import asynchronous
from queuectld.host.thread_pool import ThreadPool


@asynchronous
async def test_what_is_returned_and_raised_comes_back() -> None:
    """From a thread that is not the loop's."""
    pool = ThreadPool("one", 1)
    assert await pool.run(divmod, 7, 2) == (3, 1)
    assert await pool.run(threading.get_ident) != threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        await pool.run(divmod, 1, 0)


@asynchronous
async def test_so_many_at_a_time_and_no_more() -> None:
    """The third waits for one of two, and there is no third thread."""
    pool = ThreadPool("two", 2)
    both = threading.Barrier(3)
    go = threading.Event()
    seen: list[int] = []

    def work(number: int) -> int:
        seen.append(number)
        if number < 3:
            both.wait(20)
            go.wait(20)
        return number

    tasks = [asyncio.create_task(pool.run(work, number)) for number in (1, 2, 3)]
    await asyncio.sleep(0)
    both.wait(20)
    assert sorted(seen) == [1, 2]
    go.set()
    assert await asyncio.gather(*tasks) == [1, 2, 3]
    names = [each.name for each in threading.enumerate()]
    assert sorted(name for name in names if name.startswith("two-")) == [
        "two-1",
        "two-2",
    ]


@asynchronous
async def test_who_is_gone_before_his_turn_is_not_worked_for() -> None:
    """His place in the line costs nothing."""
    pool = ThreadPool("line", 1)
    begun, go = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        go.wait(20)

    first = asyncio.create_task(pool.run(hold))
    await asyncio.sleep(0)
    begun.wait(20)
    ran: list[int] = []
    second = asyncio.create_task(pool.run(ran.append, 2))
    third = asyncio.create_task(pool.run(ran.append, 3))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.wait([second])
    go.set()
    await asyncio.gather(first, third)
    assert ran == [3]


@asynchronous
async def test_a_pool_that_hangs_holds_up_no_other() -> None:
    """However many are waiting for the first."""
    slow, quick = ThreadPool("slow", 1), ThreadPool("quick", 1)
    go = threading.Event()
    waiting = [asyncio.create_task(slow.run(go.wait, 20)) for _ in range(50)]
    await asyncio.sleep(0)
    assert await quick.run(int, "7") == 7
    assert not any(task.done() for task in waiting)
    go.set()
    await asyncio.gather(*waiting)


@asynchronous
async def test_work_that_nobody_waits_for_any_more_takes_one_thread_only() -> None:
    """What comes next gets another, if there may be one."""
    pool = ThreadPool("left", 2)
    begun, go = threading.Event(), threading.Event()

    def hang() -> None:
        begun.set()
        go.wait(20)

    left = asyncio.create_task(pool.run(hang))
    await asyncio.sleep(0)
    begun.wait(20)
    left.cancel()
    await asyncio.wait([left])
    assert await pool.run(int, "7") == 7
    go.set()
