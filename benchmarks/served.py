"""A daemon for a benchmark: in a home of its own, used through commands and clients."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from helpers.daemon import Daemon, a_daemon
from queuectl import Client, Job

BIN = Path(sys.executable).parent

BATCH = 1000
"""Jobs in a request that fills a queue."""


class Served:
    """A daemon that answers.

    Attributes:
        client: a connection to it.
        environment: for commands that use it. Without PYTHONPATH: what is measured
            is the installed program.
    """

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.home = daemon.home
        self.environment = {
            **{k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
            "QUEUECTL_HOME": str(daemon.home),
            "QUEUECTL_AUTOSTART": "0",
        }
        self.client = self.connect()

    def connect(self) -> Client:
        """Return another connection."""
        return Client(str(self.daemon.socket))

    def ctl(self, *arguments: str) -> str:
        """Run a queuectl command; return what it printed."""
        done = subprocess.run(
            [BIN / "queuectl", *arguments],
            env=self.environment,
            cwd=self.home,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return done.stdout

    def fill(
        self, count: int, command: str | list[str] = "true", **fields: object
    ) -> float:
        """Enqueue jobs in batches over the socket; return the seconds it took."""
        begun = time.perf_counter()
        for start in range(0, count, BATCH):
            jobs = [{"command": command, **fields}] * min(BATCH, count - start)
            self.client.call("enqueue_many", {"jobs": jobs})
        return time.perf_counter() - begun

    def await_completed(self, last: str, count: int) -> None:
        """Return when ``count`` jobs are completed, of which ``last`` is a late one."""
        self.client.wait(last)
        while (status := self.client.status()).completed < count:
            assert not status.dead, "a job failed that should not"
            assert not status.failed, "a job failed that should not"

    def span(self, jobs: list[Job]) -> float:
        """Return the seconds from the first start to the last end of jobs."""
        started = min(job.started_at for job in jobs if job.started_at)
        finished = max(job.finished_at for job in jobs if job.finished_at)
        return (finished - started).total_seconds()


@contextmanager
def served(*options: str) -> Iterator[Served]:
    """Run a daemon; stop it at the end."""
    with a_daemon(*options) as daemon:
        made = Served(daemon)
        try:
            yield made
        finally:
            made.client.close()
