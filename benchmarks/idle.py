"""What a daemon with workers does while there is nothing to do: nothing."""

import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from benchmarks.options import Options
from benchmarks.report import Figure, Table, at_most
from benchmarks.served import Served, served
from helpers import databases, waiting

WINDOW = 60.0
WORKERS = 8
WAITS = ("<unfinished ...>", "<detached ...>")
"""How strace ends the line of a call that has not returned."""


def run(options: Options) -> list[Table]:
    """Watch the daemon and eight workers for a minute, once."""
    window = max(5.0, WINDOW * options.scale)
    with served() as daemon:
        daemon.client.workers.start(WORKERS)
        jobs = daemon.client.enqueue_many(["true"] * 100)
        daemon.await_completed(jobs[-1], len(jobs))
        pids = [daemon.daemon.process.pid]
        pids += [worker.pid for worker in daemon.client.workers.list()]
        _await_checkpoint(daemon, jobs[-1])
        ran, calls, switched = _watch(pids, window)
    figures = [Figure("CPU", "ms", (ran,), bar=at_most(0))]
    if calls is not None:
        figures.append(Figure("system calls completed", "", (calls,), bar=at_most(0)))
    else:
        figures.append(Figure("voluntary switches", "", (switched,), bar=at_most(0)))
    notes = "All threads of the daemon and the workers; one client is connected. "
    notes += (
        "Calls are counted by strace, in as long a window after that of the CPU."
        if calls is not None
        else "No strace here."
    )
    return [Table("idle", f"{WORKERS} workers, {window:.0f} s", tuple(figures), notes)]


def _await_checkpoint(daemon: Served, job: str) -> None:
    """Wait until the store's log is empty: the last thing that follows a write."""
    database = daemon.home / "queuectl.db"
    waiting.until(
        lambda: databases.state_of(database, job) == "completed",
        "the log has been emptied",
    )
    daemon.client.ping()
    time.sleep(1)  # nothing tells that the checkpoint's last calls are over


def _watch(pids: list[int], window: float) -> tuple[float, float | None, float]:
    """Return milliseconds of CPU, system calls (None without strace), and switches.

    Calls are counted in a second window: being attached to wakes a process up.
    """
    before = _used(pids)
    time.sleep(window)
    after = _used(pids)
    calls = _calls(pids, window) if shutil.which("strace") else None
    return after[0] - before[0], calls, after[1] - before[1]


def _used(pids: list[int]) -> tuple[float, float]:
    """Return milliseconds of CPU and voluntary switches of all threads so far."""
    ran = switched = 0
    for pid in pids:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            ran += int((thread / "schedstat").read_text().split()[0])
            for line in (thread / "status").read_text().splitlines():
                if line.startswith("voluntary_ctxt_switches"):
                    switched += int(line.split()[1])
    return ran / 1e6, switched


def _calls(pids: list[int], window: float) -> float | None:
    """Return how many system calls end in the window; None if strace may not look."""
    with tempfile.NamedTemporaryFile() as trace:
        strace = subprocess.Popen(
            ["strace", "-f", "-o", trace.name, *(f"-p{pid}" for pid in pids)],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert strace.stderr is not None
        try:
            for _ in pids:
                if "attached" not in strace.stderr.readline():
                    return None
            with suppress(subprocess.TimeoutExpired):
                strace.wait(window)
        finally:
            strace.send_signal(signal.SIGINT)
            strace.communicate()
        lines = Path(trace.name).read_text().splitlines()
    return sum(not line.endswith(WAITS) for line in lines)
