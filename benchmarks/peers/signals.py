"""How jobs and benchmark tell each other something: named pipes, the same for all."""

import os
import select
from pathlib import Path

from benchmarks.peers.processes import PATIENCE, PeerFailedError


class Bell:
    """A pipe that a job rings. It is open here all the time: no job waits to ring."""

    def __init__(self, file: Path) -> None:
        os.mkfifo(file, 0o600)
        self._pipe = os.open(file, os.O_RDWR | os.O_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._pipe, select.POLLIN)
        self.command = f"echo >{file}"

    def hear(self, times: int = 1) -> None:
        """Return when it has rung so often.

        Raises:
            PeerFailedError: it did not, in time.
        """
        while times > 0:
            if not self._poll.poll(PATIENCE * 1000):
                raise PeerFailedError(f"{times} jobs were not started")
            times -= len(os.read(self._pipe, times))

    def close(self) -> None:
        """Close it."""
        os.close(self._pipe)


class Barrier:
    """Jobs that wait for each other: none goes on until it is opened for all of them.

    As each holds a worker of its own, so many of them held mean that every worker
    has come to its own, and is done with whatever it had before.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._here = Bell(folder / f"{name}-here")
        gate = folder / f"{name}-gate"
        os.mkfifo(gate, 0o600)
        self._gate = os.open(gate, os.O_RDWR | os.O_CLOEXEC)
        # The shell reads byte by byte up to the newline: one line opens for one job.
        self.command = f"{self._here.command}; read line <{gate}"

    def await_held(self, jobs: int) -> None:
        """Return when so many jobs are held."""
        self._here.hear(jobs)

    def open(self, jobs: int) -> None:
        """Let so many jobs go on."""
        os.write(self._gate, b"\n" * jobs)

    def close(self) -> None:
        """Close the pipes."""
        self._here.close()
        os.close(self._gate)
