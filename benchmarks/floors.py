"""What the machine itself costs: the least that a job, a commit or a start can take.

Nothing here goes through queuectl. A figure means something only beside its floor
measured in the same run: on a noisy machine both move together.
"""

import os
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from queuectld.core import lifecycle, settings
from queuectld.core.job import Submission
from queuectld.store.sqlite import connection, queries, rows

SHELL_TRUE = ("/bin/sh", "-c", "true")

IMPORTS = "import click, socket, msgpack, json"
"""What a client of the kind cannot do without."""

AUTOCHECKPOINT_PAGES = 4000
"""As in the store, so that both write the log back equally often."""

CHUNK = 1 << 20


def spawn_rate(jobs: int, parallel: int, argv: Sequence[str] = SHELL_TRUE) -> float:
    """Return jobs a second of bare ``posix_spawn`` and ``waitpid``.

    From ``parallel`` processes at once, each of which spawns one job after the other.
    """
    share = -(-jobs // parallel)
    spawners = []
    begun = time.perf_counter()
    for _ in range(parallel):
        child = os.fork()
        if child == 0:
            _spawn_all(share, argv)
        spawners.append(child)
    for child in spawners:
        os.waitpid(child, 0)
    return share * parallel / (time.perf_counter() - begun)


def _spawn_all(count: int, argv: Sequence[str]) -> None:
    """Spawn in a forked child, which ends here: nothing of the parent may run in it."""
    try:
        environment = dict(os.environ)
        quiet = [
            (os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_WRONLY, 0)
            for number in (1, 2)
        ]
        for _ in range(count):
            pid = os.posix_spawn(argv[0], argv, environment, file_actions=quiet)
            os.waitpid(pid, 0)
    finally:
        os._exit(0)


def commit_rate(folder: Path, commits: int) -> float:
    """Return commits a second of one row like a job's, durable, without any index."""
    file = folder / "floor.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute(f"PRAGMA wal_autocheckpoint = {AUTOCHECKPOINT_PAGES}")
        values = _row()
        columns = ", ".join(f"c{number}" for number in range(1, len(values)))
        database.execute(f"CREATE TABLE jobs (seq INTEGER PRIMARY KEY, {columns})")
        insert = f"INSERT INTO jobs VALUES ({', '.join('?' * len(values))})"
        begun = time.perf_counter()
        for number in range(commits):
            database.execute("BEGIN IMMEDIATE")
            database.execute(insert, (number, *values[1:]))
            database.execute("COMMIT")
        seconds = time.perf_counter() - begun
    file.unlink()
    return commits / seconds


def insert_rate(folder: Path, jobs: int, batch: int = 1000) -> float:
    """Return jobs a second that SQLite adds to a store's own tables, in batches."""
    file = folder / "floor.db"
    with closing(connection.open_writer(file)) as database:
        insert = queries.load().insert_job
        values = _row()[1:]
        begun = time.perf_counter()
        for first in range(1, jobs + 1, batch):
            database.execute("BEGIN IMMEDIATE")
            database.executemany(
                insert, ((seq, *values) for seq in range(first, first + batch))
            )
            database.execute("COMMIT")
        return jobs / (time.perf_counter() - begun)


def _row() -> Sequence[object]:
    """Return the row of a job as a client of this directory would enqueue it."""
    submission = Submission("true", cwd=str(Path.cwd()), umask=0o022, submitter=1000)
    now = time.time_ns() // 1_000_000
    job = lifecycle.enqueue(
        submission, settings.in_force({}), now=now, seq=1, env_key=bytes(16)
    )
    return rows.insert_values(job)


def fdatasync_ms(folder: Path, times: int = 200) -> float:
    """Return the median milliseconds that ``fdatasync`` takes after 4 KiB appended."""
    file = folder / "floor.sync"
    page = bytes(4096)
    took = []
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        for _ in range(times):
            os.write(handle, page)
            begun = time.perf_counter()
            os.fdatasync(handle)
            took.append((time.perf_counter() - begun) * 1000)
    finally:
        os.close(handle)
        file.unlink()
    return statistics.median(took)


def process_ms(argv: Sequence[str], environment: dict[str, str] | None = None) -> float:
    """Return how many milliseconds a command takes from its spawn to its end.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    begun = time.perf_counter()
    subprocess.run(argv, env=environment, stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - begun) * 1000


def imports_ms(environment: dict[str, str] | None = None) -> float:
    """Return how many milliseconds Python takes with the bare imports of a client."""
    return process_ms([sys.executable, "-c", IMPORTS], environment)


def spawn_ms() -> float:
    """Return how many milliseconds pass from the wish to the start of a process."""
    begun = time.time_ns()
    said = subprocess.run(["/bin/date", "+%s%N"], capture_output=True, check=True)
    return (int(said.stdout) - begun) / 1e6


def read_rate(argv: Sequence[str], size: int, **variables: str) -> float:
    """Return MiB a second that arrive from a command through a pipe, start included.

    The command is ended after ``size`` bytes.

    Raises:
        AssertionError: it ended before.
    """
    begun = time.perf_counter()
    command = subprocess.Popen(
        argv, stdout=subprocess.PIPE, env=os.environ | variables, bufsize=0
    )
    assert command.stdout is not None
    try:
        left = size
        buffer = bytearray(CHUNK)
        while left > 0:
            got = command.stdout.readinto(buffer)
            assert got, f"{argv[0]} ended with {left} bytes to go"
            left -= got
        return size / CHUNK / (time.perf_counter() - begun)
    finally:
        command.kill()
        command.stdout.close()
        command.wait()


def tail_rate(file: Path, size: int) -> float:
    """Return MiB a second of ``tail -f`` over a file from its first byte."""
    return read_rate(["tail", "-c", "+1", "-f", str(file)], size)
