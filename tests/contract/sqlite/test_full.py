"""What the SQLite store does when there is no room: `max_page_count` is the disk."""

from pathlib import Path

import pytest

from helpers.asynchronous import asynchronous
from helpers.sqlite_store import Unit, opened, together
from helpers.stores import assert_counted, everything
from queuectld.core.job import Job
from queuectld.store.api import StoreFullError
from queuectld.store.sqlite.store import SqliteStore


def limit_pages(store: SqliteStore, more: int) -> None:
    """Let the database grow by so many pages only."""
    (pages,) = store._writing.execute("PRAGMA page_count").fetchone()
    store._writing.execute(f"PRAGMA max_page_count = {pages + more}").fetchall()


@pytest.mark.parametrize("place", [0, 3, 6])
@asynchronous
async def test_what_does_not_fit_fails_alone(tmp_path: Path, place: int) -> None:
    """In the middle of a batch: the others survive, and later all goes on."""
    units = [Unit(f"small-{n}") for n in range(6)]
    units.insert(place, Unit("big", size=2_000_000))
    async with opened(tmp_path) as store:
        limit_pages(store, 20)
        results = await together(store, units)
        error = results.pop(place)
        assert isinstance(error, StoreFullError)
        assert "free some space" in str(error)
        assert [job.name for job in results] == [f"small-{n}" for n in range(6)]
        assert await everything(store) == results
        await assert_counted(store)

        limit_pages(store, 10_000)
        big = await store.write(units[place])
        assert await everything(store) == [*results, big]
        await assert_counted(store)
    async with opened(tmp_path) as store:
        assert await everything(store) == [*results, big]
        assert store._writing.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@asynchronous
async def test_a_store_without_any_room_refuses_and_recovers(tmp_path: Path) -> None:
    """Every write is refused with the reason, reads go on, nothing is half there."""
    async with opened(tmp_path) as store:
        limit_pages(store, 0)
        first: list[Job] = []
        while len(first) < 1000:
            try:
                first.append(await store.write(Unit(f"{len(first)}-", size=500)))
            except StoreFullError:
                break
        units = [Unit(f"no-{n}", size=50_000) for n in range(9)]
        results = await together(store, units)
        assert {type(result) for result in results} == {StoreFullError}
        assert await everything(store) == first
        await assert_counted(store)
        limit_pages(store, 10_000)
        last = await store.write(Unit("room again", size=50_000))
        assert await everything(store) == [*first, last]
        await assert_counted(store)
