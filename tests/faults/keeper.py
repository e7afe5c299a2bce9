"""Drives the daemon of a campaign: whenever it ends, it is started again."""

import subprocess
import threading
import time
from dataclasses import dataclass, field

from helpers import waiting
from helpers.home import BIN, Home

EXPECTED = frozenset({0, -9, -15, -10})
"""Exit statuses that our signals explain. TERM and USR1 kill a daemon that is not
listening to them yet."""


@dataclass(frozen=True, slots=True)
class Start:
    """A start of the daemon, in nanoseconds on CLOCK_MONOTONIC."""

    at: int
    pid: int


@dataclass(slots=True)
class Keeper:
    """A thread that starts the daemon, waits for its end, and starts it again.

    Attributes:
        starts: all of them.
        answered: for each start that came to answer: nanoseconds from its launch.
        wrong: ends that no signal of ours explains.
    """

    home: Home
    flags: tuple[str, ...] = ()
    starts: list[Start] = field(default_factory=list)
    answered: list[int] = field(default_factory=list)
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
        with (self.home.root / "queuectld.stderr").open("ab") as errors:
            while True:
                at = time.monotonic_ns()
                daemon = subprocess.Popen(
                    [BIN / "queuectld", *self.flags],
                    cwd=self.home.work,
                    env=self.home.environ,
                    stdin=subprocess.DEVNULL,
                    stdout=errors,
                    stderr=errors,
                )
                self.starts.append(Start(at, daemon.pid))
                status = daemon.wait()
                if status not in EXPECTED:
                    self.wrong.append(f"the daemon ended with status {status}")
                if self._ending.is_set():
                    return
