"""Drives the daemon of a campaign: whenever it ends, it is started again."""

import subprocess
import threading
import time
from dataclasses import dataclass, field
from typing import IO

from helpers import waiting
from helpers.home import BIN, Home

EXPECTED = frozenset({0, -9, -15, -10})
"""Exit statuses that our signals explain. TERM and USR1 kill a daemon that is not
listening to them yet."""


@dataclass(slots=True)
class Start:
    """A start of the daemon.

    Attributes:
        at: when it was launched: nanoseconds on CLOCK_MONOTONIC.
        ready: when it said that it was ready, if it came to that.
    """

    at: int
    pid: int
    ready: int | None = None


@dataclass(slots=True)
class Keeper:
    """A thread that starts the daemon, waits for its end, and starts it again.

    Attributes:
        starts: all of them.
        wrong: ends that no signal of ours explains.
    """

    home: Home
    flags: tuple[str, ...] = ()
    starts: list[Start] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    _ending: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    @property
    def pid(self) -> int:
        """The pid of the daemon that was started last."""
        return self.starts[-1].pid

    def begin(self) -> None:
        """Start, and keep going, from now on."""
        self._thread = threading.Thread(target=self._keep, name="keeper")
        self._thread.start()
        self.ready()

    def ready(self) -> None:
        """Wait until a daemon answers."""
        waiting.until(self.home.answers, "a daemon answers", within=60)

    def end(self) -> None:
        """Let the next end of the daemon be the last, and wait for it."""
        self._ending.set()
        assert self._thread is not None
        self._thread.join(60)
        assert not self._thread.is_alive(), "the daemon does not end"

    def leave(self) -> None:
        """Start no other daemon, whatever happens: the run has failed."""
        self._ending.set()

    def _keep(self) -> None:
        with (self.home.root / "queuectld.stderr").open("wb") as log:
            while True:
                self._serve(log)
                if self._ending.is_set():
                    return

    def _serve(self, log: IO[bytes]) -> None:
        """Run the daemon once, and note when it is ready."""
        at = time.monotonic_ns()
        daemon = subprocess.Popen(
            [BIN / "queuectld", *self.flags],
            cwd=self.home.work,
            env=self.home.environ,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.PIPE,
        )
        start = Start(at, daemon.pid)
        self.starts.append(start)
        assert daemon.stderr is not None
        # Its workers have this pipe too, but the daemon's end is what counts.
        threading.Thread(target=_copy, args=(daemon.stderr, log, start)).start()
        status = daemon.wait()
        if status not in EXPECTED:
            self.wrong.append(f"the daemon ended with status {status}")


def _copy(source: IO[bytes], log: IO[bytes], start: Start) -> None:
    """Copy a daemon's log; ends when its last worker has ended."""
    with source:
        for line in source:
            if b" daemon_ready " in line:
                start.ready = time.monotonic_ns()
            log.write(line)
