"""Databases as released versions left them: ``fixtures/schema-N.sql``.

    PYTHONPATH=tests .venv/bin/python -m faults.released

writes the one of this version's schema, as SQL text. Done once for each schema, before
it is released, and never again after that: a fixture is what users have on their disks.
"""

import os
import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from helpers.home import Home, a_home
from queuectld.store.sqlite.connection import schema_version

FIXTURES = Path(__file__).with_name("fixtures")

NOT_YET = {"run_at": "2100-01-01T00:00:00Z"}

HOME = "/home/user"
"""What the fixtures have in the place of the directory where they were made."""


def fixture(version: int) -> Path:
    """Return where the database of that schema is kept."""
    return FIXTURES / f"schema-{version}.sql"


def versions() -> list[int]:
    """Return the schemas there are fixtures of."""
    return sorted(int(file.stem.partition("-")[2]) for file in FIXTURES.glob("*.sql"))


def restore(version: int, path: Path) -> None:
    """Make the database of a fixture."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.executescript(fixture(version).read_text())


def make(home: Home) -> None:
    """Have jobs in every state, with all that a job can have, and kill the daemon."""
    home.configure(max_retries="2", retention="400d")
    home.ask("workers.start", count=2)
    home.ended(home.enqueue("echo done; echo failed >&2", label="first", priority=3))
    home.ended(home.enqueue(["printf", "%s\n", "two words", "\udcff"], id="words"))
    home.ended(home.enqueue("exit 7", id="died", max_retries=0))
    home.until_state(
        home.enqueue("kill -9 $$", id="fails", backoff_base=1000), "failed"
    )
    home.enqueue("true", id="later", **NOT_YET, timeout=0)
    home.enqueue("true", id="no", **NOT_YET)
    home.ask("cancel", id="no")
    limits = {"nice": 5, "rlimits": {"core": -1, "nofile": 512}}
    home.enqueue("echo >(true)", id="bash", shell="/bin/bash", foreground=True)
    home.enqueue("ulimit -n", id="limited", **NOT_YET, **limits)
    home.enqueue("true", id="expires", **NOT_YET, expires="2100-01-02T00:00:00Z")
    # Not for good: whoever opens the fixture runs them again.
    long = "[ -e {0} ] || {{ echo >{0}; sleep 1000; }}"
    home.enqueue(long.format("again"), id="runs", umask="0077")
    home.enqueue(f"trap '' TERM; {long.format('once')}", id="runs-too")
    home.appears("again")
    home.appears("once")
    home.ask("cancel", id="runs-too", wait=False)
    home.enqueue("echo waited", id="waits", priority=-1, output_limit=1000)
    everything = [seen.pid for seen in home.processes()]
    for pid in everything:
        os.kill(pid, signal.SIGSTOP)
    home.kill(*everything, number=signal.SIGKILL)


def dump(home: Home) -> Iterator[str]:
    """Yield the lines of the fixture."""
    with closing(sqlite3.connect(home.root / "queuectl.db")) as database:
        for pragma in ("application_id", "user_version"):
            (value,) = database.execute(f"PRAGMA {pragma}").fetchone()
            yield f"PRAGMA {pragma} = {value};"
        for line in database.iterdump():
            # The planner's own, of which a schema does not consist.
            if "sqlite_" not in line:
                yield line.replace(str(home.root), HOME)


def main() -> None:
    """Write the fixture of this schema, unless it is there."""
    file = fixture(schema_version())
    if file.exists():
        sys.exit(f"{file} is there; is it released? Then add a migration")
    with a_home() as home:
        # What jobs inherit: nothing of the machine where this is run.
        home.environ |= {"PATH": f"/usr/bin:/bin:{home.root}", "HOME": str(home.root)}
        home.serve()
        make(home)
        file.write_text("\n".join(dump(home)) + "\n")
        home.serve()
        for job in ("runs", "waits"):
            home.ended(job)


if __name__ == "__main__":
    main()
