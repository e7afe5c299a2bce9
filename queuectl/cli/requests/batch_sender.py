"""Sends the jobs of a file in batches, each of which is stored whole or not at all.

The next batch is read and parsed while the daemon stores the one before, but is sent
only when that one is acknowledged. So the stored jobs are always the first lines of the
file, and after a bad line is mended the rest of the file can be enqueued.
"""

import select
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from queuectl.cli.input.job_file import BadLineError, Batch, JobFile
from queuectl.errors import QueuectlError
from queuectl.sync.session import Session

PAUSE = 0.5
"""Seconds without input after which an unfinished batch is sent: for ``tail -f``."""


class Stored(NamedTuple):
    """A batch that the daemon has acknowledged.

    Attributes:
        ids: of its jobs, in the order of the file.
        workers: how many workers are running.
        draining: the daemon is ending.
        position: bytes of the file up to its end.
    """

    ids: list[str]
    workers: int
    draining: bool
    position: int


class BatchSender:
    """Enqueues the jobs of a file.

    Attributes:
        stored: all lines up to this number are enqueued.
        waiting: it waits for input, and no batch is under way.
        stopping: ``stop`` was called.
    """

    def __init__(
        self,
        client: Session,
        file: JobFile,
        *,
        defaults: Mapping[str, Any],
        if_exists: str,
    ) -> None:
        self._client = client
        self._file = file
        self._common = {"defaults": dict(defaults), "if_exists": if_exists}
        self._sent: tuple[int, Batch] | None = None
        self.stored = 0
        self.waiting = False
        self.stopping = False

    def stop(self) -> None:
        """Send no more batches; ``run`` still waits for the one under way."""
        self.stopping = True

    def run(self) -> Iterator[Stored]:
        """Yield each batch when it is stored.

        Raises:
            BadLineError: a line was refused, here or by the daemon.
            QueuectlError: anything else went wrong.
        """
        while not self.stopping and not self._file.ended:
            if batch := self._file.take():
                yield from self._acknowledged()
                self._send(batch)
            elif not self._file.ended:
                yield from self._wait()
        yield from self._acknowledged()
        if self._file.mistake is not None and not self.stopping:
            raise self._file.mistake

    def _wait(self) -> Iterator[Stored]:
        """Read more input; if there is none, first wait for the batch under way."""
        if self._sent is not None and not self._readable(0):
            yield from self._acknowledged()
        pause = PAUSE if self._file.partial else None
        if self._sent is not None or self._readable(pause):
            self._file.read()
        elif not self.stopping and (batch := self._file.take(partial=True)):
            self._send(batch)

    def _readable(self, timeout: float | None) -> bool:
        self.waiting = self._sent is None
        # In this order: a signal handler that calls ``stop`` either comes before the
        # next line or finds ``waiting`` set.
        if self.stopping:
            timeout = 0
        ready, _, _ = select.select([self._file.fd], [], [], timeout)
        self.waiting = False
        return bool(ready)

    def _send(self, batch: Batch) -> None:
        params = {"jobs": batch.jobs, **self._common}
        self._sent = self._client.send("enqueue_many", params), batch

    def _acknowledged(self) -> Iterator[Stored]:
        if self._sent is None:
            return
        request, batch = self._sent
        try:
            result = self._client.receive(request)
        except QueuectlError as error:
            index = (error.data or {}).get("index")
            if index is None:
                raise
            self._sent = None
            raise BadLineError(batch.numbers[index], str(error)) from error
        self._sent = None
        self.stored = batch.last
        draining = result.get("draining", False)
        yield Stored(result["ids"], result["workers"], draining, batch.position)
