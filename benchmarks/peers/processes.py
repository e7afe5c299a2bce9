"""The processes of a peer: started here, and all gone at the end, whoever forked them.

The benchmark adopts what its peers leave behind (``PR_SET_CHILD_SUBREAPER``), so that
servers and jobs that made themselves daemons are found and ended too.
"""

import contextlib
import ctypes
import os
import pwd
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

PATIENCE = 60.0
"""Seconds after which a peer that does not go on is given up."""

STOP = 5.0
"""Seconds that a process has to end by itself."""

PR_SET_CHILD_SUBREAPER = 36


class PeerFailedError(Exception):
    """A peer did not do what it was asked to; the message says what it said last."""


class Processes:
    """What runs for one measurement, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._started: list[subprocess.Popen[bytes]] = []

    def start(
        self,
        *argv: str,
        env: Mapping[str, str] | None = None,
        pipes: bool = False,
        stdin: int = subprocess.DEVNULL,
        unprivileged: bool = False,
        log: str = "log",
    ) -> subprocess.Popen[bytes]:
        """Start a program in the folder; what it says goes to the log.

        Args:
            argv: the program and its arguments.
            env: variables besides the benchmark's own.
            pipes: connect its standard input and output with the benchmark.
            stdin: what it reads otherwise.
            unprivileged: not as root, which some servers refuse.
            log: the name of the log.
        """
        with (self.folder / log).open("ab") as said:
            process = subprocess.Popen(
                argv,
                cwd=self.folder,
                env=environment(env or {}),
                stdin=subprocess.PIPE if pipes else stdin,
                stdout=subprocess.PIPE if pipes else said,
                stderr=said,
                # Ctrl-C is for the benchmark, which then stops them in order.
                start_new_session=True,
                **(_nobody() if unprivileged else {}),
            )
        self._started.append(process)
        return process

    def run(self, *argv: str, env: Mapping[str, str] | None = None) -> None:
        """Run a program to its end.

        Raises:
            PeerFailedError: it failed.
        """
        if self.start(*argv, env=env).wait(PATIENCE):
            raise self.failed(f"{argv[0]} failed")

    def run_unprivileged(self, *argv: str, env: Mapping[str, str]) -> None:
        """Do the same, but not as root."""
        if self.start(*argv, env=env, unprivileged=True).wait(PATIENCE):
            raise self.failed(f"{argv[0]} failed")

    def failed(self, what: str, log: str = "log") -> PeerFailedError:
        """Return an error with the last line of a log."""
        file = self.folder / log
        lines = file.read_text(errors="replace").strip().splitlines()
        return PeerFailedError(f"{what}: {''.join(lines[-1:])[:160]}")

    def await_(self, true: Callable[[], bool], what: str) -> None:
        """Return when something is true.

        Raises:
            PeerFailedError: it is not, in time.
        """
        deadline = time.monotonic() + PATIENCE
        while not true():
            if time.monotonic() > deadline:
                raise self.failed(f"no {what}")
            pause(0.01)

    def stop(self) -> None:
        """End everything, the newest first."""
        for process in reversed(self._started):
            process.terminate()
            try:
                process.wait(STOP)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe:
                    with contextlib.suppress(BrokenPipeError):
                        pipe.close()
        sweep()


@contextmanager
def processes(folder: Path) -> Iterator[Processes]:
    """Give a place for processes; end them all."""
    made = Processes(folder)
    try:
        yield made
    finally:
        made.stop()


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def sweep() -> None:
    """Kill and reap every descendant of this process."""
    while left := psutil.Process().children(recursive=True):
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, 0)[0]:
                pass


def pause(seconds: float) -> None:
    """Leave the machine idle."""
    select.poll().poll(seconds * 1000)


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a peer: without the benchmark's own import path."""
    return {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | dict(more)


def _nobody() -> dict[str, int | Sequence[int]]:
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": ()}
