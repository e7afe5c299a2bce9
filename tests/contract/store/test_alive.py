"""How a store shows that it is alive: whoever writes and whoever reads answer."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from helpers.asynchronous import asynchronous
from helpers.sqlite_store import batch_number, opened
from helpers.stores import Home, add, everything
from queuectld.store.api import Store, StoreError
from queuectld.store.sqlite.store import SqliteStore
from queuectld.store.sqlite.writer import PROOF

PATIENCE = 20.0
"""Seconds that a thread waits for the test to let it go on."""

TURNS = 20
"""Round trips through the other thread that show that one of them waits."""


ALWAYS = 3600.0
"""Seconds: every commit is quick."""


@asynccontextmanager
async def hung(ask: Callable[[Any], Awaitable[None]]) -> AsyncIterator[None]:
    """Let a unit of work, or a query, not return until the context ends."""
    loop = asyncio.get_running_loop()
    began, may_end = asyncio.Event(), threading.Event()

    def hang(_: Any) -> None:
        loop.call_soon_threadsafe(began.set)
        assert may_end.wait(PATIENCE)

    hanging = asyncio.ensure_future(ask(hang))
    await began.wait()
    try:
        yield
    finally:
        may_end.set()
        await hanging


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return when each file was written last, and what is in it."""
    return {
        file.name: (file.stat().st_mtime_ns, file.read_bytes())
        for file in folder.iterdir()
    }


@asynchronous
async def test_a_store_at_work_is_alive(home: Home) -> None:
    """Once what was handed in before is done, and as often as it is asked."""
    async with home.open() as store:
        adding = asyncio.create_task(add(store))
        await asyncio.sleep(0)  # lets it hand in its unit
        await store.alive()
        assert adding.done()
        await asyncio.gather(*(store.alive() for _ in range(5)))
        assert await everything(store) == [await adding]


@asynchronous
async def test_to_be_alive_writes_nothing(home: Home) -> None:
    """Not a byte, so that a store in which nothing happens leaves the disk alone."""
    async with home.open() as store:
        await add(store)
        await store.alive()  # whoever reads has seen the job's commit
        before = contents(home.folder)
        for _ in range(5):
            await store.alive()
        assert contents(home.folder) == before


@asynchronous
async def test_a_hung_writer_is_not_alive(home: Home) -> None:
    """While a unit of work does not return nobody is told so, though reads go on."""
    async with home.open() as store:
        async with hung(store.write):
            asking = asyncio.create_task(store.alive())
            for _ in range(TURNS):
                await everything(store)
            assert not asking.done()
        await asking


@asynchronous
async def test_a_hung_reader_is_not_alive(home: Home) -> None:
    """While a query does not return nobody is told so, though writes go on."""
    async with home.open() as store:
        async with hung(store.read):
            asking = asyncio.create_task(store.alive())
            for _ in range(TURNS):
                await add(store)
            assert not asking.done()
        await asking


@asynchronous
async def test_who_gives_up_waiting_harms_nobody(home: Home) -> None:
    """The hung unit's own answer comes, and the next round's."""
    async with home.open() as store:
        async with hung(store.write):
            asking = asyncio.create_task(store.alive())
            await asyncio.sleep(0)  # lets it ask
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
        await store.alive()
        await add(store)


@asynchronous
async def test_a_closed_store_is_not_alive(home: Home) -> None:
    """And says so."""
    async with home.open() as store:
        await store.alive()
    with pytest.raises(StoreError, match="closed"):
        await store.alive()


# What SQLite's store does.


def where(_: Any) -> threading.Thread:
    """Return who runs this unit of work."""
    return threading.current_thread()


async def refuses(store: Store) -> None:
    with pytest.raises(StoreError):
        await add(store)


@asynchronous
async def test_a_store_that_can_only_say_no_is_alive(tmp_path: Path) -> None:
    """Its disk is full, or its database was taken away: to say so is to answer."""
    async with opened(tmp_path) as store:
        await add(store)
        store._writing.execute("PRAGMA max_page_count = 1").fetchall()
        with pytest.raises(StoreError, match="no room"):
            await add(store, command="x" * 1_000_000)
        await store.alive()
        (tmp_path / "queuectl.db").rename(tmp_path / "elsewhere")
        await refuses(store)
        await store.alive()


@asynchronous
async def test_a_store_whose_every_answer_is_an_error_is_alive(tmp_path: Path) -> None:
    """Neither connection works any more."""
    async with opened(tmp_path) as store:
        store._writing.close()
        store._reading.close()
        await refuses(store)
        await store.alive()


@asynchronous
async def test_while_the_loop_commits_its_thread_is_asked(tmp_path: Path) -> None:
    """It does what came before, leaves no batch behind, and the loop goes on.

    To be asked proves nothing of how quick the disk is.
    """
    store = SqliteStore(tmp_path / "queuectl.db", ALWAYS)
    try:
        for _ in range(PROOF):
            await store.alive()
        assert await store.write(where) is not threading.main_thread()
        for _ in range(PROOF):
            await add(store)
        before = batch_number(store)
        await store.alive()
        assert batch_number(store) == before
        adding = asyncio.create_task(add(store))
        await asyncio.sleep(0)  # lets it hand in its unit
        await store.alive()
        assert adding.done()
        assert await store.write(where) is threading.main_thread()
        assert len(await everything(store)) == PROOF + 1
    finally:
        await store.close()
