"""How long the SQLite store keeps statistics, and how finely."""

from pathlib import Path

import pytest

from helpers.asynchronous import asynchronous
from helpers.jobs import NOW
from helpers.sqlite_store import opened
from queuectld.store.sqlite.store import SqliteStore
from queuectld.store.sqlite.transaction import MINUTES_KEPT, ROLLUP_KEPT

MINUTE = 60_000
HOUR = 60 * MINUTE
START = NOW - NOW % HOUR


async def count(store: SqliteStore, since: int = 0) -> int:
    found = await store.read(lambda reader: reader.rollup(since))
    return found["completed"].count if "completed" in found else 0


async def thin(store: SqliteStore, now: int) -> None:
    while await store.write(lambda tx: tx.thin_statistics(now, 24)):
        pass


@pytest.mark.parametrize(("later", "left"), [(-1, 2), (0, 0)])
@asynchronous
async def test_minutes_are_kept_for_two_days(
    tmp_path: Path, later: int, left: int
) -> None:
    """Then an hour's are one, as soon as all of the hour is that old."""
    async with opened(tmp_path) as store:
        for minute in (0, 20, 59):
            at = START + minute * MINUTE
            await store.write(lambda tx, at=at: tx.measure("completed", at))
        old_enough = START + HOUR + MINUTES_KEPT * MINUTE
        await thin(store, old_enough + later * MINUTE)
        assert await count(store, START + MINUTE) == left
        assert await count(store, START) == 3
        rows = store._writing.execute("SELECT count(*) FROM rollup").fetchone()
        assert rows == (left + 1,)


@asynchronous
async def test_statistics_go_after_a_year_and_a_bit(tmp_path: Path) -> None:
    """So that a year can be compared with the last."""
    async with opened(tmp_path) as store:
        await store.write(lambda tx: tx.measure("completed", START))
        await thin(store, START + ROLLUP_KEPT * MINUTE)
        assert await count(store) == 1
        await thin(store, START + (ROLLUP_KEPT + 1) * MINUTE)
        assert await count(store) == 0
