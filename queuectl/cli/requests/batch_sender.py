"""Many jobs at once: a file's batches, each stored whole or not at all.

The next batch is read and parsed while the daemon stores the one before, so both are
busy; but it is sent only once that one is acknowledged. So what is stored is always a
beginning of the file, and whoever mends the bad line goes on from there.
"""

import select
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from queuectl.cli.input.job_file import BadLineError, Batch, Source
from queuectl.errors import QueuectlError
from queuectl.sync.session import Session

PAUSE = 0.5
"""Seconds without input after which a batch goes off as it is: for ``tail -f``."""


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


class Bulk:
    """The enqueueing of a whole file.

    Attributes:
        stored: all lines up to this number are enqueued.
        waiting: it is blocked until more input comes, and nothing is under way.
        stopping: ``stop`` was called.
    """

    def __init__(
        self,
        client: Session,
        source: Source,
        *,
        defaults: Mapping[str, Any],
        if_exists: str,
    ) -> None:
        self._client = client
        self._source = source
        self._common = {"defaults": dict(defaults), "if_exists": if_exists}
        self._sent: tuple[int, Batch] | None = None
        self.stored = 0
        self.waiting = False
        self.stopping = False

    def stop(self) -> None:
        """Send nothing more; what is under way still ends."""
        self.stopping = True

    def run(self) -> Iterator[Stored]:
        """Yield each batch when it is stored.

        Raises:
            BadLineError: a line was refused, here or by the daemon.
            QueuectlError: anything else went wrong.
        """
        while not self.stopping and not self._source.ended:
            if batch := self._source.take():
                yield from self._acknowledged()
                self._send(batch)
            elif not self._source.ended:
                yield from self._wait()
        yield from self._acknowledged()
        if self._source.mistake is not None and not self.stopping:
            raise self._source.mistake

    def _wait(self) -> Iterator[Stored]:
        """Take more input; if it pauses, settle first what there is."""
        if self._sent is not None and not self._readable(0):
            yield from self._acknowledged()
        pause = PAUSE if self._source.partial else None
        if self._sent is not None or self._readable(pause):
            self._source.read()
        elif not self.stopping and (batch := self._source.take(partial=True)):
            self._send(batch)

    def _readable(self, timeout: float | None) -> bool:
        self.waiting = self._sent is None
        # In this order ``stop`` comes before the look, or finds it waiting.
        if self.stopping:
            timeout = 0
        ready, _, _ = select.select([self._source.fd], [], [], timeout)
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
