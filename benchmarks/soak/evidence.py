"""What is there after a run: rows, traces, output, and what should not be there.

Reads, and judges nothing. The database is read by SQLite alone, with the daemon gone.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.soak.ledger import Ledger
from helpers.home import Home

Row = dict[str, Any]

ASIDE = ".bad"
"""Results that the daemon refused and kept for a person: the forged ones, and no more
than these (see ``campaign``)."""


@dataclass(frozen=True, slots=True)
class Line:
    """What an attempt wrote down about itself.

    Attributes:
        event: start, alive, end; overlap: a start while another attempt was there.
        at: nanoseconds on CLOCK_MONOTONIC.
    """

    event: str
    run: int
    lease: int
    pid: int
    at: int


@dataclass(frozen=True, slots=True)
class Output:
    """A file of captured output."""

    path: Path
    size: int

    @property
    def key(self) -> tuple[int, int, int, str]:
        """The job's sequence number, run, lease and stream that its name says."""
        seq, run, lease, suffix = self.path.name.split(".")
        return int(seq), int(run), int(lease), suffix


@dataclass(slots=True)
class Evidence:
    """All that the oracle judges.

    Attributes:
        status: what the daemon answered to `status` when all was done.
        counts: its counters, by state, as the database has them.
        jobs: rows by given id.
        attempts: rows by the job's sequence number, in order.
        traces: lines by id, in the order in which they were written.
        integrity: what PRAGMA integrity_check said.
        refused: spooled results that the daemon set aside.
        left: descriptions of what a run must not leave.
    """

    ledger: Ledger
    status: dict[str, Any]
    counts: dict[str, int] = field(default_factory=dict)
    jobs: dict[str, Row] = field(default_factory=dict)
    attempts: dict[int, list[Row]] = field(default_factory=dict)
    traces: dict[str, list[Line]] = field(default_factory=dict)
    outputs: list[Output] = field(default_factory=list)
    integrity: list[str] = field(default_factory=list)
    refused: int = 0
    left: list[str] = field(default_factory=list)


def collect(home: Home, ledger: Ledger, status: dict[str, Any]) -> Evidence:
    """Gather the evidence of a run whose daemon has ended.

    What the daemon set aside for a person is taken away.
    """
    evidence = Evidence(ledger, status)
    evidence.left = list(leftovers(home))
    for file in (home.root / "spool").glob(f"*{ASIDE}"):
        evidence.refused += 1
        file.unlink()
    _read_database(home.root / "queuectl.db", evidence)
    evidence.traces = {
        task.id: read_trace(Path(task.trace)) for task in ledger.asked.values()
    }
    files = (file for file in (home.root / "output").rglob("*") if file.is_file())
    evidence.outputs = [Output(file, file.stat().st_size) for file in files]
    return evidence


def read_trace(file: Path) -> list[Line]:
    """Return the lines of one job; a file that is not there has none."""
    if not file.exists():
        return []
    words = (line.split() for line in file.read_text().splitlines())
    return [Line(event, *map(int, numbers)) for event, *numbers in words]


def leftovers(home: Home) -> Iterator[str]:
    """Say what is left of a run that must not be."""
    for seen in home.processes():
        yield f"process {seen.pid}: {seen.command}"
    if home.socket.exists():
        yield f"socket {home.socket}"
    for folder in ("workers", "spool"):
        for file in (home.root / folder).iterdir():
            if file.suffix != ASIDE:
                yield f"{folder} has {file.name}"
    for suffix in ("-wal", "-journal"):
        if (home.root / f"queuectl.db{suffix}").exists():
            yield f"queuectl.db{suffix}"
    if not _is_free(home.root / "lock"):
        yield "the lock is held"


def _is_free(lock: Path) -> bool:
    fd = os.open(lock, os.O_RDWR)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
    return True


def _read_database(file: Path, evidence: Evidence) -> None:
    with closing(sqlite3.connect(file)) as database:
        database.row_factory = sqlite3.Row
        evidence.integrity = [
            row[0] for row in _all(database, "PRAGMA integrity_check")
        ]
        evidence.jobs = {
            row["name"] or str(row["seq"]): dict(row)
            for row in _all(database, "SELECT * FROM jobs")
        }
        for row in _all(database, "SELECT * FROM attempts ORDER BY job, run"):
            evidence.attempts.setdefault(row["job"], []).append(dict(row))
        sums = "SELECT state, sum(jobs) FROM counts GROUP BY state"
        evidence.counts = dict(tuple(row) for row in _all(database, sums))


def _all(database: sqlite3.Connection, sql: str) -> list[Any]:
    return database.execute(sql).fetchall()


def totals(evidence: Evidence) -> Mapping[str, int]:
    """Return how many jobs are in each state, counted row by row."""
    found: dict[str, int] = {}
    for job in evidence.jobs.values():
        found[job["state"]] = found.get(job["state"], 0) + 1
    return found
