"""Follows what a job writes, while it writes it, from one attempt to the next.

Nothing is polled: inotify tells that a file has grown, the broker that the job has
changed. Output is read when the client can take it, so the files are the only buffer.
"""

import asyncio
import contextlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from queuectl_protocol.vocabulary import FINAL_STATES, JobState
from queuectld.broker import Broker
from queuectld.core.errors import JobNotFoundError
from queuectld.core.job import Attempt, AttemptEnd
from queuectld.host.thread_pool import ThreadPool
from queuectld.linux.inotify import Change, Watcher
from queuectld.server.call import Stream
from queuectld.server.output import reader
from queuectld.workers.shared import outputs

CHUNK = 64 * 1024
"""Bytes of output in one event."""


class GrowingFile:
    """One stream of one attempt, read up to some point.

    Attributes:
        offset: where the next chunk begins.
    """

    def __init__(self, path: str, offset: int) -> None:
        self.offset = offset
        self._path = path
        self._end: int | None = None
        self._fd = reader.open_output(path)
        self._watches: dict[str, int] = {}

    def arm(self, files: Watcher, wake: asyncio.Event) -> None:
        """Set ``wake`` when there is more than there is now: arm first, then read."""
        if self._fd is None:
            self._await_creation(files, wake)
            self._fd = reader.open_output(self._path)
        if self._fd is not None:
            self._await(self._path, Change.MODIFIED, files, wake)

    def disarm(self, files: Watcher, wake: asyncio.Event) -> None:
        """Forget about ``wake``."""
        for watch in self._watches.values():
            files.disarm(watch, wake)
        self._watches.clear()

    def end_at(self, size: int | None) -> None:
        """Read no further, whoever writes on. None: than what is there now."""
        if size is None and self._fd is not None:
            size = os.fstat(self._fd).st_size
        self._end = size

    def read(self) -> bytes:
        """Return the next chunk; empty at what is the end for now."""
        wanted = CHUNK if self._end is None else min(CHUNK, self._end - self.offset)
        if self._fd is None or wanted <= 0:
            return b""
        data = reader.read_from(self._fd, self._path, self.offset, wanted)
        self.offset += len(data)
        return data

    def close(self) -> None:
        """Let go of the file."""
        if self._fd is not None:
            os.close(self._fd)

    def _await_creation(self, files: Watcher, wake: asyncio.Event) -> None:
        """Watch the file's directory, or the one that this will be created in."""
        directory = str(Path(self._path).parent)
        if not self._await(directory, Change.CREATED, files, wake):
            parent = str(Path(directory).parent)
            self._await(parent, Change.CREATED, files, wake)
            # It may have been created just before its parent was watched.
            self._await(directory, Change.CREATED, files, wake)

    def _await(
        self, path: str, change: Change, files: Watcher, wake: asyncio.Event
    ) -> bool:
        """Return whether there was anything to watch."""
        with contextlib.suppress(FileNotFoundError):
            self._watches[path] = files.arm(path, change, wake)
            return True
        return False


class Follower:
    """Sends the events of one ``logs.follow``.

    Keeps nothing of the job but its names: a command is up to 2 MiB.
    """

    def __init__(
        self,
        job_id: str,
        seq: int,
        stream: Stream,
        changed: asyncio.Event,
        *,
        broker: Broker,
        files: Watcher,
        readers: ThreadPool,
        output_dir: str,
        which: Sequence[outputs.Stream],
    ) -> None:
        self._job_id = job_id
        self._seq = seq
        self._stream = stream
        self._changed = changed
        self._broker = broker
        self._files = files
        self._readers = readers
        self._output_dir = output_dir
        self._which = which

    async def follow(self, run: int | None, tail: int | None) -> None:
        """Send what the job writes until its end, or the end of ``run``.

        Args:
            run: follow this one only; None: begin with the last, or the first to come.
                The attempt is there.
            tail: begin with so many last lines; None: with the first byte.
        """
        done = None if run is None else run - 1
        while attempt := await self._attempt_after(done):
            await self._follow_attempt(attempt, tail)
            done, tail = attempt.run, None
            if run is not None:
                break

    async def _attempt_after(self, run: int | None) -> Attempt | None:
        """Wait for the first attempt after a run, or take the last that there is.

        None when there will be none, or no need.
        """
        while not self._stream.ended:
            self._changed.clear()
            state, attempt = await self._look(run)
            if attempt is not None or state in FINAL_STATES:
                return attempt
            run = run or 0
            await self._something()
        return None

    async def _follow_attempt(self, attempt: Attempt, tail: int | None) -> None:
        await self._stream.ready()
        self._stream.send({"type": "attempt", "run": attempt.run})
        starts = await self._readers.run(self._starts, attempt, tail)
        over, end = attempt.end is not None, attempt.end
        with self._opened(attempt, starts) as files:
            while not self._stream.ended:
                # Asked before the files are read to their end: what an attempt
                # wrote is all there when its end is on record.
                if self._changed.is_set():
                    self._changed.clear()
                    over, end = await self._end_of(attempt.run)
                for which, file in files.items():
                    file.arm(self._files, self._stream.wake)
                    if over:
                        file.end_at(end and end.written(which))
                await self._send_new(attempt.run, files, over=over)
                if over:
                    await self._tell_gone(attempt, end)
                    return
                await self._something()

    async def _tell_gone(self, attempt: Attempt, end: AttemptEnd | None) -> None:
        """Say of which streams there is less than was written."""
        for which in self._which:
            written = end and end.written(which)
            if lost := reader.loss(self._path(attempt, which), written):
                await self._stream.ready()
                gone = {"type": "gone", "run": attempt.run, "stream": which}
                self._stream.send({**gone, "size": lost.written, "left": lost.left})

    async def _send_new(
        self, run: int, files: dict[outputs.Stream, GrowingFile], *, over: bool
    ) -> None:
        """Send what is there, in turns, so that no stream waits for the other.

        Not on and on when the job has changed: a run that has ended ends its files.
        """
        unread = dict(files)
        while unread:
            for which, file in list(unread.items()):
                await self._stream.ready()
                if self._stream.ended or (self._changed.is_set() and not over):
                    return
                offset, data = file.offset, file.read()
                if not data:
                    del unread[which]
                    continue
                self._stream.send(
                    {
                        "type": "data",
                        "run": run,
                        "stream": which,
                        "offset": offset,
                        "data": data,
                    }
                )

    def _starts(self, attempt: Attempt, tail: int | None) -> dict[str, int]:
        """Return where to begin in each file; reads them, so not for the loop."""
        starts = {}
        for which in self._which:
            path = self._path(attempt, which)
            written = attempt.end and attempt.end.written(which)
            starts[path] = 0 if tail is None else reader.tail_start(path, tail, written)
        return starts

    @contextmanager
    def _opened(
        self, attempt: Attempt, starts: dict[str, int]
    ) -> Iterator[dict[outputs.Stream, GrowingFile]]:
        files: dict[outputs.Stream, GrowingFile] = {}
        try:
            for which in self._which:
                path = self._path(attempt, which)
                files[which] = GrowingFile(path, starts[path])
            yield files
        finally:
            for file in files.values():
                file.disarm(self._files, self._stream.wake)
                file.close()

    def _path(self, attempt: Attempt, which: outputs.Stream) -> str:
        return outputs.path(
            self._output_dir, self._seq, attempt.run, attempt.lease, which
        )

    async def _end_of(self, run: int) -> tuple[bool, AttemptEnd | None]:
        """Return whether an attempt is over, and how it ended if that is on record."""
        _, attempt = await self._look(run - 1)
        if attempt is None or attempt.run != run:
            return True, None
        return attempt.end is not None, attempt.end

    async def _look(self, after: int | None) -> tuple[JobState, Attempt | None]:
        """Return the job's state, and its last attempt or the first after a run."""
        look = await self._broker.look(self._job_id, after=after)
        if look.job.seq != self._seq:
            # It was pruned, and another one, maybe somebody else's, has its name.
            raise JobNotFoundError(self._job_id)
        return look.job.state, look.attempt

    async def _something(self) -> None:
        """Wait until the job changes, a file grows, or the client has enough."""
        wake = self._stream.wake
        waits = [asyncio.create_task(event.wait()) for event in (self._changed, wake)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        wake.clear()
