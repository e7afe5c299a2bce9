"""What the scheduler does in one tick, and when the next one is due."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from helpers.asynchronous import asynchronous
from helpers.supervised import Supervised, supervised
from queuectl_protocol.vocabulary import JobState, Reason
from queuectld.control.agenda import CHECKPOINT_AFTER, PRUNE_AFTER
from queuectld.control.scheduler import LONGEST_WAIT, STORE_RETRY
from queuectld.core.errors import DrainingError

# -- a store that refuses --------------------------------------------------------------


@asynchronous
async def test_a_due_job_is_no_reason_to_ask_a_full_store_again(tmp_path: Path) -> None:
    """The next tick is a second later, not at once; then the job becomes ready."""
    async with supervised(tmp_path) as one:
        now = one.desk.clock.now
        job = await one.desk.enqueue(run_at=now + 10_000)
        assert await one.turn() == CHECKPOINT_AFTER
        one.desk.clock.advance(10)
        one.refuse_next()
        assert await one.turn() == STORE_RETRY
        one.desk.clock.advance(STORE_RETRY / 2)
        assert await one.turn() == STORE_RETRY / 2
        one.desk.clock.advance(STORE_RETRY / 2)
        await one.turn()
        assert (await one.desk.now(job)).due is True


# -- jobs that expire ------------------------------------------------------------------


@asynchronous
async def test_the_scheduler_wakes_for_an_expiry(tmp_path: Path) -> None:
    """It waits until then and no longer; a clock that is set is seen in a minute."""
    async with supervised(tmp_path) as one:
        clock = one.desk.clock
        soon = await one.desk.enqueue(expires=clock.now + 3000)
        late = await one.desk.enqueue(expires=clock.now + 3_600_000)
        assert await one.turn() == 3
        clock.advance(3)
        await one.turn()
        assert (await one.desk.now(soon)).reason is Reason.EXPIRED
        clock.advance(CHECKPOINT_AFTER)
        assert await pass_time(one, 0) == LONGEST_WAIT
        clock.step(3600)
        assert (await one.desk.now(late)).state is JobState.PENDING
        await pass_time(one, LONGEST_WAIT)
        assert (await one.desk.now(late)).reason is Reason.EXPIRED


# -- the log of the store --------------------------------------------------------------


def in_the_database(one: Supervised) -> list[tuple[str]]:
    """Return the settings in the database file itself, without the log."""
    path = Path(one.desk.store.facts()["path"])
    with closing(sqlite3.connect(f"{path.as_uri()}?immutable=1", uri=True)) as database:
        return database.execute("SELECT value FROM settings").fetchall()


async def pass_time(one: Supervised, seconds: float) -> float | None:
    """Let time pass; return in how many seconds the next thing is due."""
    one.desk.clock.advance(seconds)
    due = await one.turn()
    await one.settled()
    return due


@asynchronous
async def test_the_log_is_emptied_after_the_last_write_of_a_burst(
    tmp_path: Path,
) -> None:
    """This is so after any write; then nothing is due before old jobs are pruned."""
    async with supervised(tmp_path) as one:
        await one.turn()  # the first one looks for jobs whose time has come
        await one.desk.store.checkpoint()  # the tables themselves
        value = 1000
        for _ in range(2):
            for _ in range(20):
                value += 1
                await one.desk.broker.set_setting("retention", value)
            assert await pass_time(one, CHECKPOINT_AFTER - 1) == 1
            await one.desk.set_meta("any", "thing")
            assert await pass_time(one, CHECKPOINT_AFTER - 1) == 1
            assert in_the_database(one) != [(f"{value}.0",)]
            due = await pass_time(one, 1)
            assert due is not None
            assert CHECKPOINT_AFTER < due < PRUNE_AFTER
            assert in_the_database(one) == [(f"{value}.0",)]


# -- the end ---------------------------------------------------------------------------


@asynchronous
async def test_workers_are_not_ensured_by_a_draining_daemon(tmp_path: Path) -> None:
    """It refuses, and does not store a number for the next daemon."""
    async with supervised(tmp_path) as one:
        one.desired.drain()
        writes = one.desk.others.writes
        with pytest.raises(DrainingError):
            await one.supervisor.ensure(7)
        assert one.desk.others.writes == writes
        assert one.supervisor.wanted == 0
