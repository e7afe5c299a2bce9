"""What a unit of work can do to the database.

Counters and statistics are added up in memory while a batch runs. ``flush`` writes them
once, in the same transaction: a hundred finishes cost a few updates of counters.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Sequence

from queuectl_protocol.vocabulary import JobState
from queuectld.core import histogram
from queuectld.core.job import AttemptEnd, Job
from queuectld.core.settings import Value
from queuectld.store.sqlite import rows
from queuectld.store.sqlite.reader import SqliteReader

MINUTES_KEPT = 48 * 60
"""Minutes after which statistics are kept per hour."""

ROLLUP_KEPT = 400 * 24 * 60
"""Minutes after which statistics are deleted: a year can be compared with the last."""

ENVIRONMENTS_CACHED = 64
"""Environments kept in memory for claims. A key names its content, so none is stale."""

_THINNED = "rollup_thinned_until"


class SqliteTransaction(SqliteReader):
    """The writing side. One object serves all batches of a connection.

    Attributes:
        batch: number of the last batch.
        commit_took: seconds that its commit took; inf if it reported an error.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        numbers: tuple[int, ...] = connection.execute(self._sql.numbers).fetchone()
        self._seq, self._lease, self._worker, self.batch = numbers
        self.commit_took = 0.0
        # What the batch adds up, and what the unit at work would add to that.
        self._counts: Counter[tuple[str, JobState]] = Counter()
        self._rollup: dict[tuple[int, str, str, int], list[int]] = {}
        self._unit_counts: list[tuple[str, JobState, int]] = []
        self._delayed = self._unit_delayed = 0
        self._unit_measures: list[tuple[str, int, int | None]] = []
        # What the database counts, or will with the batch that is being committed.
        self._stored: dict[JobState, int] | None = None
        self._environments: dict[bytes, dict[str, str]] = {}

    # What the store calls around each unit and each batch.

    def keep_unit(self) -> None:
        """Add what the unit counted to the batch: it succeeded."""
        for queue, state, change in self._unit_counts:
            self._counts[queue, state] += change
        self._delayed += self._unit_delayed
        for metric, at, ms in self._unit_measures:
            bucket = 0 if ms is None else histogram.bucket(ms)
            key = (at // 60_000, "default", metric, bucket)
            entry = self._rollup.setdefault(key, [0, 0])
            entry[0] += 1
            entry[1] += ms or 0
        self.drop_unit()

    def drop_unit(self) -> None:
        """Forget what the unit counted: it failed."""
        self._unit_counts.clear()
        self._unit_delayed = 0
        self._unit_measures.clear()

    def drop_batch(self) -> None:
        """Forget what the batch counted: it was not committed.

        The numbers stay as they are: some may be left out, and none is used twice.
        """
        self.drop_unit()
        self._forget_batch()
        self._stored = None

    def flush(self) -> None:
        """Write what the batch counted, and its number."""
        execute = self._connection.execute
        for (queue, state), change in self._counts.items():
            if change:
                execute(self._sql.add_count, (queue, state._value_, change))
                if self._stored is not None:
                    self._stored[state] += change
        for key, (events, ms) in self._rollup.items():
            execute(self._sql.add_rollup, (*key, events, ms))
        self.batch += 1
        numbers = (self._seq, self._lease, self._worker, self.batch, self._delayed)
        execute(self._sql.set_numbers, numbers)
        self._forget_batch()

    def committed_batch(self) -> int:
        """Return the number of the last batch that the database holds."""
        return int(self._connection.execute(self._sql.numbers).fetchone()[3])

    # What units of work call.

    def counts(self) -> dict[JobState, int]:
        """Return how many jobs are in each state, with what is not written yet."""
        if self._stored is None:
            self._stored = super().counts()
        counted = dict(self._stored)
        for (_, state), change in self._counts.items():
            counted[state] += change
        for _, state, change in self._unit_counts:
            counted[state] += change
        return counted

    def delayed(self) -> int:
        """Return how many jobs wait for their time, with what is not written yet."""
        return super().delayed() + self._delayed + self._unit_delayed

    def environment(self, key: bytes) -> dict[str, str]:
        """Return a stored environment, which must not be changed."""
        known = self._environments.get(key)
        if known is None:
            known = self._environments[key] = super().environment(key)
            if len(self._environments) > ENVIRONMENTS_CACHED:
                del self._environments[next(iter(self._environments))]
        return known

    def next_seq(self) -> int:
        """Return a sequence number that no job ever had."""
        self._seq += 1
        return self._seq

    def keep_environment(self, env: dict[str, str]) -> bytes:
        """Store an environment, if it is not there; return the key of its content."""
        key, text = rows.environment(env)
        self._connection.execute(self._sql.insert_environment, (key, text))
        return key

    def insert(self, job: Job) -> None:
        """Add a job."""
        self._connection.execute(self._sql.insert_job, rows.insert_values(job))
        self._unit_counts.append((job.queue, job.state, 1))
        self._unit_delayed += job.due is False

    def update(self, old: Job, new: Job) -> bool:
        """Write ``new`` if the job is still as ``old``."""
        values = rows.update_values(old, new)
        if self._connection.execute(self._sql.update_job, values).rowcount != 1:
            return False
        if old.state is not new.state:
            self._unit_counts.append((old.queue, old.state, -1))
            self._unit_counts.append((new.queue, new.state, 1))
        if old.due is not new.due:
            self._unit_delayed += (new.due is False) - (old.due is False)
        return True

    def next_lease(self, least: int = 0) -> int:
        """Return a number that no attempt ever had, and none less than ``least``."""
        self._lease = max(self._lease + 1, least)
        return self._lease

    def next_worker(self) -> int:
        """Return a number that no worker ever had."""
        self._worker += 1
        return self._worker

    def ready(self, limit: int) -> list[Job]:
        """Return the jobs to be claimed next: priority, then first in first out."""
        return self._jobs(self._sql.ready_jobs, limit)

    def promote(self, now: int, limit: int) -> int:
        """Make up to ``limit`` jobs ready whose ``run_at`` came; return how many."""
        ready = self._connection.execute(self._sql.promote_jobs, (now, limit)).rowcount
        self._unit_delayed -= ready
        return ready

    def insert_attempt(self, job: Job, end: AttemptEnd) -> None:
        """Put the attempt that ran under ``end.lease`` on record."""
        self._connection.execute(
            self._sql.insert_attempt, rows.attempt_values(job, end)
        )

    def measure(self, metric: str, at: int, ms: int | None = None) -> None:
        """Add something that happened to the statistics."""
        self._unit_measures.append((metric, at, ms))

    def set_setting(self, key: str, value: Value | None) -> None:
        """Store a setting; None goes back to the default."""
        if value is None:
            self._connection.execute(self._sql.unset_setting, (key,))
        else:
            self._connection.execute(self._sql.set_setting, (key, json.dumps(value)))

    def set_meta(self, key: str, value: str) -> None:
        """Store a small value of the daemon's own."""
        self._connection.execute(self._sql.set_meta, (key, value))

    def delete(self, jobs: Sequence[Job]) -> list[Job]:
        """Forget jobs that are still as given, and their attempts; return these."""
        execute = self._connection.execute
        gone = []
        for job in jobs:
            as_given = (job.seq, job.state, job.runs, job.updated_at)
            # The row's ``due``: it may have changed since the job was read.
            if found := execute(self._sql.delete_job, as_given).fetchall():
                self._unit_delayed -= found[0][0] == 0
                execute(self._sql.delete_attempts, (job.seq,))
                self._unit_counts.append((job.queue, job.state, -1))
                gone.append(job)
        for key in {job.env_key for job in jobs} - {None}:
            execute(self._sql.delete_unused_environment, (key,))
        return gone

    def thin_statistics(self, now: int, hours: int) -> bool:
        """Merge up to ``hours`` hours of old minutes; return whether more are left."""
        execute = self._connection.execute
        horizon = now // 60_000 - MINUTES_KEPT
        execute(self._sql.delete_old_rollup, (now // 60_000 - ROLLUP_KEPT,))
        done = int(self.meta(_THINNED) or 0)
        for _ in range(hours):
            ((oldest,),) = self._all(self._sql.oldest_rollup, done)
            if oldest is None or oldest - oldest % 60 + 60 > horizon:
                self.set_meta(_THINNED, str(done))
                return False
            hour = oldest - oldest % 60
            execute(self._sql.merge_rollup, {"hour": hour})
            execute(self._sql.delete_merged_rollup, {"hour": hour})
            done = hour + 60
        self.set_meta(_THINNED, str(done))
        return True

    def _forget_batch(self) -> None:
        self._counts.clear()
        self._delayed = 0
        self._rollup.clear()
