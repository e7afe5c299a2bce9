"""Methods that give out what jobs wrote."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from queuectl_protocol.errors import ErrorCode
from queuectl_protocol.limits import MAX_LOG_CHUNK
from queuectl_protocol.vocabulary import Role
from queuectld.broker import Broker
from queuectld.config import DaemonConfig
from queuectld.core.errors import JobNotFoundError
from queuectld.host.thread_pool import ThreadPool
from queuectld.linux.inotify import Watcher
from queuectld.operations import lookups
from queuectld.operations.lookups import Look
from queuectld.server import encoding
from queuectld.server.call import Call
from queuectld.server.errors import AttemptNotFoundError, OutputGoneError
from queuectld.server.output import reader
from queuectld.server.output.follower import Follower
from queuectld.server.schema import params
from queuectld.server.schema.arguments import InvalidParamsError
from queuectld.server.schema.method import READ_ERRORS, Method, Result
from queuectld.server.schema.wire_limits import MAX_TAIL
from queuectld.workers.shared import outputs

_READERS = 4
"""Output files that are read at a time. To find a file's last lines can take a read of
8 MiB."""


@dataclass(frozen=True, slots=True)
class LogMethods:
    """Gives out what jobs wrote.

    Attributes:
        config: returns the configuration in force.
        files: tells when output files grow.
        readers: the threads that read output files.
    """

    broker: Broker
    config: Callable[[], DaemonConfig]
    files: Watcher
    readers: ThreadPool = field(
        default_factory=lambda: ThreadPool("reading", _READERS, ready=True)
    )

    async def read(
        self,
        call: Call,
        *,
        id: str,
        run: int | None,
        stream: outputs.Stream,
        offset: int,
        limit: int,
        tail: int | None,
    ) -> Result:
        """Return a piece of what one attempt wrote to one stream."""
        look = await self._look(call, id, run)
        attempt = look.attempt
        piece = reader.Piece(b"", offset, 0)
        written = None
        if attempt is not None:
            path = outputs.path(
                str(self.config().output_dir),
                look.job.seq,
                attempt.run,
                attempt.lease,
                stream,
            )
            written = attempt.end and attempt.end.written(stream)
            piece = await self.readers.run(
                reader.read,
                path,
                offset=offset,
                tail=tail,
                limit=limit,
                written=written,
            )
            if not piece.data and (lost := reader.loss(path, written)):
                raise OutputGoneError(look.job.id, attempt.run, stream, lost)
        return {
            "run": attempt and attempt.run,
            "data": piece.data,
            "offset": piece.offset,
            "next": piece.next,
            # The recorded size, even where some is gone: a client that reads on to it
            # is told of the loss.
            "size": piece.size if written is None else written,
            "state": look.job.state,
        }

    async def _look(self, call: Call, job_id: str, run: int | None) -> Look:
        """Return the job with the attempt asked for, or with its last, if any."""
        after = None if run is None else run - 1
        look = await self.broker.read(
            lookups.look, job_id, after=after, confined_to=call.peer.confined_to
        )
        if run is not None and (look.attempt is None or look.attempt.run != run):
            raise AttemptNotFoundError(look.job.id, run, look.job.runs)
        return look

    async def follow(
        self,
        call: Call,
        *,
        id: str,
        run: int | None,
        tail: int | None,
        streams: Sequence[outputs.Stream],
    ) -> Result:
        """Stream what a job writes until its end."""
        # Opened before anything is awaited: unfollow may be the very next request.
        with call.stream() as stream:
            seq = (await self._look(call, id, run)).job.seq
            with self.broker.events.watch(seq) as changed:
                # It may have changed before it was watched.
                changed.set()
                follower = Follower(
                    id,
                    seq,
                    stream,
                    changed,
                    broker=self.broker,
                    files=self.files,
                    readers=self.readers,
                    output_dir=str(self.config().output_dir),
                    which=streams,
                )
                await follower.follow(run, tail)
            async with call.room():
                job = await self.broker.job(id)
                if job.seq != seq:
                    raise JobNotFoundError(id)
                return {"job": encoding.job(job)}

    async def unfollow(self, call: Call, *, sub: int | str) -> Result:
        """End a stream of this connection."""
        stream = call.peer.streams.get(sub)
        if stream is None:
            raise InvalidParamsError("sub", "no stream of this connection has this id")
        stream.end()
        return {}


METHODS = (
    Method(
        name="logs.read",
        doc="Return a piece of what one attempt wrote to one stream. An attempt that "
        "wrote nothing has an empty one; where what it wrote is gone is not_found; run "
        "is null when the job never ran. What came into its file after the attempt's "
        "end is not its output.",
        handler=LogMethods.read,
        role=Role.SUBMIT,
        others=Role.OPERATE,
        params=(
            params.JOB_ID,
            params.whole("run", "which attempt; absent: the last", minimum=1),
            params.choice(
                "stream", "which stream", tuple(outputs.Stream), required=True
            ),
            params.whole("offset", "bytes from the beginning", default=0),
            params.whole(
                "limit",
                "bytes in the reply",
                minimum=1,
                maximum=MAX_LOG_CHUNK,
                default=MAX_LOG_CHUNK,
            ),
            params.whole(
                "tail",
                "begin with so many last lines, whatever offset says; they are looked "
                f"for in the last {reader.TAIL_MAX // 1024**2} MiB",
                maximum=MAX_TAIL,
            ),
        ),
        result="{run: int | null, data: bin, offset: int, next: int, size: int, "
        "state: str}",
        errors=(ErrorCode.NOT_FOUND, *READ_ERRORS),
        bulky=True,
    ),
    Method(
        name="logs.follow",
        doc="Send what a job writes as events, while it writes it, from one attempt to "
        "the next; reply when the job is completed, dead or cancelled, when the run "
        "asked for has ended, or after unfollow. Events: {type: attempt, run}, "
        "{type: data, run, stream, offset, data: bin}, {type: gone, run, stream, "
        "size, left}.",
        handler=LogMethods.follow,
        role=Role.SUBMIT,
        others=Role.OPERATE,
        events=(
            "{type: attempt, run: int}",
            "{type: data, run: int, stream: stdout | stderr, offset: int, data: bin}",
            (
                "{type: gone, run: int, stream: stdout | stderr, size: bytes, "
                "left: bytes | null}"
            ),
        ),
        params=(
            params.JOB_ID,
            params.whole(
                "run",
                "this attempt only; absent: the last or the first to come, and on",
                minimum=1,
            ),
            params.whole(
                "tail",
                "begin with so many last lines; absent: with the first byte",
                maximum=MAX_TAIL,
            ),
            params.choices(
                "streams",
                "which streams",
                tuple(outputs.Stream),
                default=tuple(outputs.Stream),
            ),
        ),
        result="{job: JOB}",
        errors=(ErrorCode.NOT_FOUND, *READ_ERRORS),
        waits=True,
    ),
    Method(
        name="unfollow",
        doc="End a stream early: its request then gets its reply.",
        handler=LogMethods.unfollow,
        role=Role.SUBMIT,
        params=(params.request_id("sub", "id of the request that opened the stream"),),
    ),
)
