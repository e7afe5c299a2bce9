"""Queries of the database, on any connection."""

import heapq
import json
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from typing import Any

from queuectl_protocol.vocabulary import JobState
from queuectld.core.job import Attempt, Job
from queuectld.core.settings import Value
from queuectld.store.api import Histogram, Page
from queuectld.store.sqlite import queries, rows

_LAST = 2**63 - 1

PRIORITIES_SEEN, NEXT_SEEN = 100, 10
"""How many priorities are searched for the job that has waited longest, and how many
jobs in each: that is the first one, unless it is a retry, which precedes younger ones
that have waited longer."""


class SqliteReader:
    """Queries within whatever transaction the connection is in."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._sql = queries.load()

    def job(self, job_id: str) -> Job | None:
        """Return the job with that id."""
        if job_id.isascii() and job_id.isdigit():
            seq = int(job_id) if len(job_id) < 19 else 0
            found = self.job_by_seq(seq)
            # "007" is not "7", and a job with a given id does not answer to its number.
            return found if found is not None and found.id == job_id else None
        return self._one(self._sql.job_by_name, job_id)

    def job_by_seq(self, seq: int) -> Job | None:
        """Return the job with that sequence number."""
        return self._one(self._sql.job_by_seq, seq)

    def attempts(
        self, seq: int, before: int | None = None, limit: int | None = None
    ) -> list[Attempt]:
        """Return a job's attempts on record, oldest first; not the running one."""
        end = _LAST if before is None else before
        most = -1 if limit is None else limit
        found = self._all(self._sql.attempts, seq, end, most)
        return [rows.attempt(row) for row in reversed(found)]

    def attempt_after(self, seq: int, run: int) -> Attempt | None:
        """Return a job's first attempt on record with a greater ``run``."""
        found = self._all(self._sql.attempt_after, seq, run)
        return rows.attempt(found[0]) if found else None

    def page(
        self, states: Collection[JobState] | None, before: int | None, limit: int
    ) -> Page:
        """Return up to ``limit`` jobs with ``seq`` under ``before``, newest first."""
        end = _LAST if before is None else before
        if states is None:
            jobs = self._jobs(self._sql.jobs_before, end, limit + 1)
        else:
            jobs = list(islice(self._newest(states, end, limit + 1), limit + 1))
        more = len(jobs) > limit
        del jobs[limit:]
        return Page(jobs, jobs[-1].seq if more else None)

    def counts(self) -> dict[JobState, int]:
        """Return how many jobs are in each state, at a cost that does not grow."""
        counted = dict.fromkeys(JobState, 0)
        counted.update((JobState(s), n) for s, n in self._all(self._sql.counts))
        return counted

    def recount(self) -> dict[JobState, int]:
        """Return the same, counted anew, at a cost that grows with the jobs."""
        rows = {state: self._all(self._sql.recount, state) for state in JobState}
        return {state: int(count) for state, ((count,),) in rows.items()}

    def delayed(self) -> int:
        """Return how many jobs wait for their time, at a cost that does not grow."""
        ((delayed,),) = self._all(self._sql.delayed)
        return int(delayed)

    def recount_delayed(self) -> int:
        """Return the same, counted anew, at a cost that grows with their number."""
        ((delayed,),) = self._all(self._sql.recount_delayed)
        return int(delayed)

    def running(self) -> list[Job]:
        """Return the jobs in ``processing``."""
        return self.in_state(JobState.PROCESSING, _LAST)

    def in_state(self, state: JobState, limit: int, after: int = 0) -> list[Job]:
        """Return up to ``limit`` jobs with ``seq`` over ``after``, oldest first."""
        return self._jobs(self._sql.jobs_in_state, state, after, limit)

    def prunable(
        self, states: Sequence[JobState], finished_before: int, limit: int
    ) -> list[Job]:
        """Return up to ``limit`` finished jobs, those that finished first."""
        of_each = [
            job
            for state in states
            for job in self._jobs(
                self._sql.prunable_jobs, state, finished_before, limit
            )
        ]
        return sorted(of_each, key=lambda job: job.finished_at or 0)[:limit]

    def environment(self, key: bytes) -> dict[str, str]:
        """Return a stored environment."""
        for (text,) in self._all(self._sql.environment, key):
            variables: dict[str, str] = json.loads(text)
            return variables
        raise KeyError(key)

    def settings(self) -> dict[str, Value]:
        """Return the settings that were set."""
        return {key: json.loads(value) for key, value in self._all(self._sql.settings)}

    def meta(self, key: str) -> str | None:
        """Return a small value of the daemon's own."""
        for (value,) in self._all(self._sql.meta, key):
            return str(value)
        return None

    def rollup(self, since: int, until: int | None = None) -> dict[str, Histogram]:
        """Return each metric's durations and counts from the minute of ``since`` on."""
        counts: dict[str, dict[int, int]] = {}
        totals: dict[str, int] = {}
        end = _LAST if until is None else until // 60_000
        for metric, bucket, events, ms in self._all(
            self._sql.rollup_between, since // 60_000, end
        ):
            counts.setdefault(metric, {})[bucket] = events
            totals[metric] = totals.get(metric, 0) + ms
        return {m: Histogram(counts[m], totals[m]) for m in counts}

    def rollup_end(self, since: int, rows: int) -> int | None:
        """Return a time up to which a rollup adds up about ``rows`` rows."""
        found = self._all(self._sql.rollup_minute, since // 60_000, rows)
        return (int(found[0][0]) // 60 + 1) * 3_600_000 if found else None

    def oldest_ready(self) -> int | None:
        """Return since when a job has waited for a worker, the longest of all."""
        oldest, below = None, _LAST
        for _ in range(PRIORITIES_SEEN):
            found = self._all(self._sql.next_ready, below, NEXT_SEEN)
            if not found:
                break
            since = min(max(created, due or 0) for _, created, due in found)
            oldest = since if oldest is None else min(oldest, since)
            below = found[-1][0]
        return oldest

    def happened(self, metric: str, since: int) -> int:
        """Return how often something happened, from the minute of ``since`` on."""
        ((count,),) = self._all(self._sql.happened, since // 60_000, metric)
        return int(count)

    def ahead(self, job: Job, limit: int) -> int:
        """Return how many are to be claimed before a job, up to ``limit``."""
        above = self._all(self._sql.ready_above, job.priority, limit)
        beside = self._all(self._sql.ready_beside, job.priority, job.seq, limit)
        return min(len(above) + len(beside), limit)

    def next_run_at(self) -> int | None:
        """Return the earliest ``run_at`` among jobs that wait for theirs."""
        ((earliest,),) = self._all(self._sql.next_run_at)
        return None if earliest is None else int(earliest)

    def expired(self, now: int, limit: int) -> list[Job]:
        """Return up to ``limit`` waiting jobs that have expired by then."""
        return self._jobs(self._sql.expired_jobs, now, limit)

    def next_expiry(self) -> int | None:
        """Return the earliest time at which a waiting job expires."""
        ((earliest,),) = self._all(self._sql.next_expiry)
        return None if earliest is None else int(earliest)

    def _newest(
        self, states: Collection[JobState], end: int, limit: int
    ) -> Iterator[Job]:
        """Yield the jobs of several states, newest first.

        Those of each state are read from the index as they are taken: one row for a
        job, and one more for each state.
        """
        sql = self._sql.jobs_in_state_before
        of_each = [
            map(rows.job, self._connection.execute(sql, (state, end, limit)))
            for state in sorted(set(states))
        ]
        return heapq.merge(*of_each, key=lambda job: job.seq, reverse=True)

    def _all(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql, values).fetchall()

    def _jobs(self, sql: str, *values: Any) -> list[Job]:
        return [rows.job(row) for row in self._connection.execute(sql, values)]

    def _one(self, sql: str, value: str | int) -> Job | None:
        row = self._connection.execute(sql, (value,)).fetchone()
        return None if row is None else rows.job(row)
