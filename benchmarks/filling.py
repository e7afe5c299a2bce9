"""A store with millions of jobs, in the time it takes to write them.

Real jobs are enqueued and run; then, with no daemon, their rows are multiplied by SQL,
and the counters and numbers moved on. ``doctor --deep`` calls the result sound.
"""

import sqlite3
from contextlib import closing
from dataclasses import dataclass

from benchmarks.served import Served
from queuectl_protocol.vocabulary import JobState

FAR = "2099-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Ballast:
    """How many jobs of each kind are wanted."""

    pending: int = 0
    completed: int = 0
    delayed: int = 0


def fill(daemon: Served, ballast: Ballast) -> None:
    """Put that many jobs into the store; its daemon is stopped and started again."""
    models = _models(daemon, ballast)
    daemon.client.close()
    assert daemon.daemon.stop() == 0, daemon.daemon.log.read_text()
    file = daemon.home / "queuectl.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.execute("PRAGMA synchronous = OFF")
        database.execute("PRAGMA cache_size = -1000000")
        database.execute("BEGIN")
        for seq, count in models.items():
            _multiply(database, seq, count - 1)
        database.execute("COMMIT")
    daemon.daemon.start()
    daemon.client = daemon.connect()


def assert_sound(daemon: Served) -> None:
    """Have the daemon read the whole store."""
    bad = [c for c in daemon.client.doctor(deep=True) if c.level == "error"]
    assert not bad, bad


def _models(daemon: Served, ballast: Ballast) -> dict[int, int]:
    """Make one real job of each kind; return how many of each there shall be."""
    client, models = daemon.client, {}
    if ballast.completed:
        client.workers.start(1)
        job = client.wait(client.enqueue("true").id)
        client.workers.stop()
        models[int(job.id)] = ballast.completed
    if ballast.pending:
        models[int(client.enqueue("true").id)] = ballast.pending
    if ballast.delayed:
        reply = client.call(
            "enqueue", {"job": {"command": "true", "run_at": FAR, "priority": 1000}}
        )
        models[int(reply["job"]["id"])] = ballast.delayed
    return models


def _multiply(database: sqlite3.Connection, seq: int, count: int) -> None:
    """Add ``count`` copies of a job and of its attempts."""
    numbers = "SELECT seq, lease FROM numbers"
    last_seq, last_lease = database.execute(numbers).fetchone()
    state, queue = database.execute(
        "SELECT state, queue FROM jobs WHERE seq = ?", (seq,)
    ).fetchone()
    _copy(database, "jobs", count, "seq = ?", seq, {"seq": last_seq})
    if state == JobState.COMPLETED:
        moved = {"job": last_seq, "lease": last_lease}
        _copy(database, "attempts", count, "job = ?", seq, moved)
    database.execute(
        "UPDATE counts SET jobs = jobs + ? WHERE queue = ? AND state = ?",
        (count, queue, state),
    )
    database.execute(
        "UPDATE numbers SET seq = seq + ?, lease = lease + ?", (count, count)
    )


def _copy(
    database: sqlite3.Connection,
    table: str,
    count: int,
    which: str,
    seq: int,
    counted: dict[str, int],
) -> None:
    """Insert copies of a row; columns in ``counted`` count on from what they name."""
    columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
    values = [
        f"{counted[name]} + n.value" if name in counted else f"model.{name}"
        for name in columns
    ]
    database.execute(
        "WITH RECURSIVE n(value) AS "
        "(SELECT 1 WHERE ?1 > 0 UNION ALL SELECT value + 1 FROM n WHERE value < ?1) "
        f"INSERT INTO {table} SELECT {', '.join(values)} FROM n, "
        f"(SELECT * FROM {table} WHERE {which.replace('?', '?2')}) AS model",
        (count, seq),
    )
