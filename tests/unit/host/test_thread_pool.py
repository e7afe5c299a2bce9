"""Threads for one kind of work."""

import asyncio
import threading

import pytest

from helpers.asynchronous import asynchronous
from queuectld.host.thread_pool import ThreadPool


@asynchronous
async def test_what_is_returned_and_raised_comes_back() -> None:
    """They come from another thread than the loop's."""
    pool = ThreadPool("one", 1)
    assert await pool.run(divmod, 7, 2) == (3, 1)
    assert await pool.run(threading.get_ident) != threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        await pool.run(divmod, 1, 0)


@asynchronous
async def test_the_size_is_the_most_calls_at_the_same_time() -> None:
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
async def test_a_call_that_was_cancelled_before_it_began_is_skipped() -> None:
    """The cancelled call is skipped."""
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
    """This is so for any number of calls that wait for the first pool."""
    slow, quick = ThreadPool("slow", 1), ThreadPool("quick", 1)
    go = threading.Event()
    waiting = [asyncio.create_task(slow.run(go.wait, 20)) for _ in range(50)]
    await asyncio.sleep(0)
    assert await quick.run(int, "7") == 7
    assert not any(task.done() for task in waiting)
    go.set()
    await asyncio.gather(*waiting)


@asynchronous
async def test_a_call_that_was_cancelled_after_it_began_keeps_its_thread() -> None:
    """The next call gets another thread if the size allows it."""
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
