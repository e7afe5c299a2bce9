"""Follows the output of a job while it is written, from one attempt to the next.

Nothing is polled: inotify tells that a file has grown, the broker that the job has
changed. Output is read when the client can take it, so the files are the only buffer.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass

from queuectl_protocol.vocabulary import FINAL_STATES, JobState
from queuectld.broker import Broker
from queuectld.core.errors import JobNotFoundError
from queuectld.core.job import Attempt, AttemptEnd
from queuectld.host.thread_pool import ThreadPool
from queuectld.linux.inotify import Watcher
from queuectld.operations import lookups
from queuectld.server.call import EventSender
from queuectld.server.output import reader
from queuectld.server.output.growing_file import GrowingFile
from queuectld.workers.shared import outputs


@dataclass(frozen=True, slots=True)
class Follower:
    """Sends the events of one ``logs.follow``.

    It keeps the job's id and number, not the job: a command is up to 2 MiB.

    Attributes:
        stream: the client's.
        changed: set when the job changes.
        files: tells when output files grow.
        readers: the threads that search for the last lines.
        which: the job's streams to follow.
    """

    job_id: str
    seq: int
    stream: EventSender
    changed: asyncio.Event
    _: KW_ONLY
    broker: Broker
    files: Watcher
    readers: ThreadPool
    output_dir: str
    which: Sequence[outputs.Stream]

    async def follow(self, run: int | None, tail: int | None) -> None:
        """Send what the job writes until its end, or the end of ``run``.

        Args:
            run: follow this run only, which has begun; None: begin with the last run,
                or the first that begins.
            tail: begin with that many last lines; None: with the first byte.
        """
        done = None if run is None else run - 1
        while attempt := await self._attempt_after(done):
            await self._follow_attempt(attempt, tail)
            done, tail = attempt.run, None
            if run is not None:
                break

    async def _attempt_after(self, run: int | None) -> Attempt | None:
        """Wait for the first attempt after ``run``; None: take the last one now.

        Return None if there will be none, or the client has seen enough.
        """
        while not self.stream.ended:
            self.changed.clear()
            state, attempt = await self._look(run)
            if attempt is not None or state in FINAL_STATES:
                return attempt
            run = run or 0
            await self._wait()
        return None

    async def _follow_attempt(self, attempt: Attempt, tail: int | None) -> None:
        await self.stream.ready()
        self.stream.send({"type": "attempt", "run": attempt.run})
        starts = await self.readers.run(self._starts, attempt, tail)
        over, end = attempt.end is not None, attempt.end
        with self._opened(attempt, starts) as files:
            while not self.stream.ended:
                # Read before the files: all that an attempt wrote is in them when its
                # end is on record.
                if self.changed.is_set():
                    self.changed.clear()
                    over, end = await self._end_of(attempt.run)
                for which, file in files.items():
                    file.arm(self.files, self.stream.wake)
                    if over:
                        file.end_at(end and end.written(which))
                await self._send_new(attempt.run, files, over=over)
                if over:
                    await self._send_losses(attempt, end)
                    return
                await self._wait()

    async def _send_losses(self, attempt: Attempt, end: AttemptEnd | None) -> None:
        """Tell which streams have less than was written."""
        for which in self.which:
            written = end and end.written(which)
            if lost := reader.loss(self._path(attempt, which), written):
                await self.stream.ready()
                gone = {"type": "gone", "run": attempt.run, "stream": which}
                self.stream.send({**gone, "size": lost.written, "left": lost.left})

    async def _send_new(
        self, run: int, files: dict[outputs.Stream, GrowingFile], *, over: bool
    ) -> None:
        """Send what is there, a chunk of each stream in turn.

        Stop when the job has changed: if the run has ended, its files end there.
        """
        unread = dict(files)
        while unread:
            for which, file in list(unread.items()):
                await self.stream.ready()
                if self.stream.ended or (self.changed.is_set() and not over):
                    return
                offset, data = file.offset, file.read()
                if not data:
                    del unread[which]
                    continue
                self.stream.send(
                    {
                        "type": "data",
                        "run": run,
                        "stream": which,
                        "offset": offset,
                        "data": data,
                    }
                )

    def _starts(self, attempt: Attempt, tail: int | None) -> dict[str, int]:
        """Return where to begin in each file. It reads them, so it runs in a thread."""
        starts = {}
        for which in self.which:
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
            for which in self.which:
                path = self._path(attempt, which)
                files[which] = GrowingFile(path, starts[path])
            yield files
        finally:
            for file in files.values():
                file.disarm(self.files, self.stream.wake)
                file.close()

    def _path(self, attempt: Attempt, which: outputs.Stream) -> str:
        return outputs.path(
            self.output_dir, self.seq, attempt.run, attempt.lease, which
        )

    async def _end_of(self, run: int) -> tuple[bool, AttemptEnd | None]:
        """Return whether an attempt is over, and its end if that is on record."""
        _, attempt = await self._look(run - 1)
        if attempt is None or attempt.run != run:
            return True, None
        return attempt.end is not None, attempt.end

    async def _look(self, after: int | None) -> tuple[JobState, Attempt | None]:
        """Return the job's state, and its last attempt or the first after a run."""
        look = await self.broker.read(lookups.look, self.job_id, after=after)
        if look.job.seq != self.seq:
            # It was pruned, and another job, perhaps another user's, has its id.
            raise JobNotFoundError(self.job_id)
        return look.job.state, look.attempt

    async def _wait(self) -> None:
        """Wait until the job changes, a file grows, or the client has seen enough."""
        wake = self.stream.wake
        waits = [asyncio.create_task(event.wait()) for event in (self.changed, wake)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        wake.clear()
