"""The statements of ``queries.sql``: all used, all explained, none that scans."""

import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import queuectld
from helpers.jobs import NOW, an_end
from helpers.stores import insert
from queuectl_protocol.vocabulary import JobState, Reason
from queuectld.core import lifecycle
from queuectld.core.job import Submission
from queuectld.store.sqlite import connection as database
from queuectld.store.sqlite import queries
from queuectld.store.sqlite.transaction import SqliteTransaction

CODE = Path(queuectld.__file__).parent
SQL = CODE / "store" / "sqlite" / "queries.sql"
STATEMENTS: dict[str, str] = vars(queries.load())

SMALL = frozenset({"counts", "delayed", "settings", "numbers", "set_numbers"})
"""Tables of a handful of rows, which their queries read whole."""
BOUNDED = frozenset({"rollup_between", "merge_rollup"})
"""Adds up a span of time: at most 48 hours of minutes and 400 days of hours."""

EXAMINING = frozenset({"recount_delayed"})
"""Reads an index whole, beside the work: for ``doctor --deep``."""


# -- the file ----------------------------------------------------------------------


def test_every_statement_has_a_sentence() -> None:
    """A name, a sentence, the statement; and the loader finds all of them."""
    text = SQL.read_text()
    named = re.findall(r"^-- name: (\w+)\n-- ([A-Z][^\n]*\.)$", text, re.MULTILINE)
    assert [name for name, _ in named] == list(STATEMENTS)
    assert len(named) == text.count("-- name:")
    assert len({sentence for _, sentence in named}) == len(named)


def test_every_statement_is_one_statement() -> None:
    """What the loader gives for a name is complete and nothing more."""
    for name, sql in STATEMENTS.items():
        assert sqlite3.complete_statement(sql), name
        assert sql.count(";") == 1, name


def test_every_statement_is_used_and_all_that_is_used_is_there() -> None:
    """No leftovers, no misspelt names."""
    sources = "".join(file.read_text() for file in SQL.parent.glob("*.py"))
    assert set(re.findall(r"\b_sql\.(\w+)", sources)) == set(STATEMENTS)


def test_there_is_no_sql_anywhere_else() -> None:
    """One home for SQL. What opens the database may look at the schema's table."""
    verbs = re.compile(r"""["'](SELECT|INSERT|UPDATE|DELETE|CREATE|REPLACE) """)
    allowed = {SQL.parent / "connection.py"}
    found = [f for f in CODE.rglob("*.py") if verbs.search(f.read_text())]
    assert set(found) <= allowed


# -- how they are carried out ---------------------------------------------------------


def connect(folder: Path) -> sqlite3.Connection:
    return database.open_writer(folder / "queuectl.db")


@pytest.fixture(scope="module", params=["new", "full and analyzed"])
def writer(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[sqlite3.Connection]:
    """Give a database as SQLite knows it at first, and after it counted rows."""
    connection = connect(tmp_path_factory.mktemp("plans"))
    if request.param != "new":
        fill(connection, 400)
        connection.execute("ANALYZE")
    yield connection
    connection.close()


def fill(connection: sqlite3.Connection, count: int) -> SqliteTransaction:
    """Add ``count`` jobs of each kind: ready, for later, running, ended, failed."""
    connection.execute("BEGIN")
    tx = SqliteTransaction(connection)
    for index in range(count):
        env = {"N": str(index)}
        insert(tx, Submission("true", id=f"job-{index}"))
        # Of a higher priority than all that is ready: a claim must not meet them.
        later = Submission("true", run_at=NOW + 1 + index, priority=5, env=env)
        insert(tx, later)
        for reason in (None, Reason.EXIT, Reason.LOST, Reason.CANCELLED):
            job = insert(tx, Submission("true", priority=7))
            lease = tx.next_lease()
            running = lifecycle.claim(job, now=NOW, lease=lease, worker=1)
            tx.update(job, running)
            if reason is None:
                continue
            end = an_end(reason, exit_code=0, lease=lease, finished_at=NOW + index)
            marked = lifecycle.cancel(running, now=NOW)
            ends = marked if reason is Reason.CANCELLED else running
            tx.update(running, lifecycle.finish(ends, end, now=NOW, random=0).job)
            tx.insert_attempt(running, end)
    tx.keep_unit()
    tx.flush()
    connection.execute("COMMIT")
    return tx


def plan(connection: sqlite3.Connection, name: str) -> list[str]:
    sql = STATEMENTS[name]
    named = dict.fromkeys(re.findall(r":(\w+)", sql))
    values = named or [None] * sql.count("?")
    return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values)]


@pytest.mark.parametrize("name", sorted(set(STATEMENTS) - SMALL - BOUNDED - EXAMINING))
def test_no_statement_scans_or_sorts(writer: sqlite3.Connection, name: str) -> None:
    """Each goes to its rows by an index, in the order that the index has."""
    for step in plan(writer, name):
        # That index holds ready jobs only, in order; LIMIT ends the walk.
        ready = step == "SCAN jobs USING INDEX jobs_ready"
        assert ready or "CONSTANT" in step or "SCAN" not in step, step
        assert "TEMP B-TREE" not in step, step


@pytest.mark.parametrize("name", sorted(BOUNDED))
def test_statistics_read_their_span_only(writer: sqlite3.Connection, name: str) -> None:
    """They go by the minute, which the key begins with."""
    steps = plan(writer, name)
    assert [s for s in steps if "SEARCH rollup USING PRIMARY KEY (minute" in s]
    assert not [s for s in steps if "SCAN rollup" in s]


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("ready_jobs", "jobs_ready"),
        ("ready_above", "jobs_ready"),
        ("ready_beside", "jobs_ready"),
        ("next_ready", "jobs_ready"),
        ("promote_jobs", "jobs_future"),
        ("next_run_at", "jobs_future"),
        ("expired_jobs", "jobs_expiring"),
        ("next_expiry", "jobs_expiring"),
        ("job_by_name", "jobs_name"),
        ("jobs_in_state", "jobs_state"),
        ("jobs_in_state_before", "jobs_state"),
        ("prunable_jobs", "jobs_finished"),
        ("delete_unused_environment", "jobs_env"),
    ],
)
def test_a_statement_uses_the_index_made_for_it(
    writer: sqlite3.Connection, name: str, index: str
) -> None:
    """Whether SQLite has counted the rows or not."""
    assert any(f"INDEX {index}" in step for step in plan(writer, name))


Action = Callable[[SqliteTransaction], object]
ACTIONS: dict[str, Action] = {
    "claim": lambda tx: tx.ready(1),
    "promote": lambda tx: tx.promote(NOW + 10, 1),
    "next time": lambda tx: tx.next_run_at(),
    "expired": lambda tx: tx.expired(NOW + 10, 1),
    "next expiry": lambda tx: tx.next_expiry(),
    "page": lambda tx: tx.page(None, None, 5),
    "page of a state": lambda tx: tx.page([JobState.COMPLETED], None, 5),
    "page of states": lambda tx: tx.page([*JobState], None, 5),
    "counts": lambda tx: tx.counts(),
    "delayed": lambda tx: tx.delayed(),
    "by id": lambda tx: (tx.job("7"), tx.job("job-7"), tx.job("none")),
    "in state": lambda tx: tx.in_state(JobState.PROCESSING, 5),
    "prunable": lambda tx: tx.prunable([JobState.COMPLETED], NOW + 5, 5),
    "ahead": lambda tx: tx.ahead(tx.ready(20)[-1], 10),
    "oldest ready": lambda tx: tx.oldest_ready(),
    "insert": lambda tx: insert(tx, Submission("true", id="x")),
    "delete": lambda tx: tx.delete(tx.page([JobState.COMPLETED], None, 2).jobs),
}


def cost(connection: sqlite3.Connection, tx: SqliteTransaction, act: Action) -> int:
    """Return how many instructions of SQLite's machine an action takes."""
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    connection.execute("BEGIN")
    connection.set_progress_handler(count, 1)
    act(tx)
    connection.set_progress_handler(None, 0)
    connection.execute("ROLLBACK")
    tx.drop_batch()
    return steps


def test_costs_do_not_grow_with_the_number_of_jobs(tmp_path: Path) -> None:
    """What is done for each job takes the same steps with ten times the jobs."""
    costs: list[dict[str, int]] = []
    for count in (50, 500):
        folder = tmp_path / str(count)
        folder.mkdir()
        connection = connect(folder)
        tx = fill(connection, count)
        costs.append({name: cost(connection, tx, act) for name, act in ACTIONS.items()})
        connection.close()
    few, many = costs
    assert min(few.values()) > 0
    grown = {name: (few[name], many[name]) for name in few if many[name] > few[name]}
    assert grown == {}
