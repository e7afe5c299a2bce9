"""The messages between the daemon and a worker, as both sides see them.

The same frames as on the public socket, on a socket pair that only these two hold.
Owns names and shapes; does no I/O. Unknown keys are ignored, so keys can be added; a
change of meaning is a new ``VERSION``. That matters after an upgrade: a daemon that
still runs the old code spawns workers of the new.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from queuectl_protocol import frames, packing
from queuectl_protocol.errors import ProtocolError
from queuectl_protocol.vocabulary import Reason
from queuectld.core.job import AttemptEnd, Command
from queuectld.core.limits import NO_MEANS, NONE, Limits, Means, shared
from queuectld.workers.shared.accounts import RunAs

VERSION = 1

FD = 3
"""The worker's end of the socket pair."""

MAX_FRAME = 256 * 1024 * 1024
"""Bytes. The peer is trusted; this only catches a stream that lost its place. Well
over any frame limit of the public socket, through which every job came."""


class Hello(NamedTuple):
    """Daemon: the first message. Who the worker is and where its files go.

    Attributes:
        worker: its number.
        store: uuid of the store, the first half of every job's marker.
        record: path of its record file (``records``).
        socket: path of the public socket, for the job's environment.
        descriptors: soft limit of open files for the jobs; None: as it is.
        cgroup: directory below which each job gets a cgroup of its own; None: none.
        means: the limits that can be enforced.
        started_at: when the worker was started, in milliseconds since 1970.
    """

    worker: int
    store: str
    output_dir: str
    spool_dir: str
    record: str
    socket: str
    descriptors: int | None = None
    version: int = VERSION
    cgroup: str | None = None
    means: Means = NO_MEANS
    started_at: int | None = None


class RunJob(NamedTuple):
    """Daemon: run this job. Also acknowledges the result before it.

    Attributes:
        seq: the job's sequence number, which names its output files.
        run: which run of the job this is, from 1.
        id: the job's id as its owner knows it.
        cwd: absolute; None for ``/``.
        umask: None for 0022.
        env: the job's environment; None: the same as in the previous ``RunJob``.
        timeout: seconds; 0 means none.
        kill_grace: seconds between SIGTERM and SIGKILL; 0: SIGKILL at once.
        output_limit: bytes on stdout and stderr together; 0 means no limit.
        limits: ``NONE`` for those of the worker.
        user: whom it runs as; None for as whom the worker does.
        shell: what runs a command line; None for the usual one.
    """

    lease: int
    seq: int
    run: int
    id: str
    command: Command
    cwd: str | None
    umask: int | None
    env: dict[str, str] | None
    timeout: float
    kill_grace: float
    output_limit: int
    limits: Limits = NONE
    user: RunAs | None = None
    shell: str | None = None


class End(NamedTuple):
    """Daemon: end that run. A second one with a smaller grace speeds it up.

    Attributes:
        reason: ``cancelled`` or ``interrupted``.
        grace: seconds between SIGTERM and SIGKILL; 0: SIGKILL at once.
    """

    lease: int
    reason: Reason
    grace: float


class Ack(NamedTuple):
    """Daemon: the result of that run is committed."""

    lease: int


class Stop(NamedTuple):
    """Daemon: exit when idle; else when the running job's result is acknowledged."""


class Ready(NamedTuple):
    """Worker: the hello was handled; jobs can come."""

    pid: int


class Finished(NamedTuple):
    """Worker: the run ended and none of its processes is left."""

    end: AttemptEnd


class Trouble(NamedTuple):
    """Worker: something the operator should read in the daemon's log.

    Attributes:
        lease: the run it is about; None when it is about the worker.
    """

    lease: int | None
    message: str


ToWorker = Hello | RunJob | End | Ack | Stop
ToDaemon = Ready | Finished | Trouble
Message = ToWorker | ToDaemon

_TYPES: dict[str, type[Any]] = {
    "hello": Hello,
    "run": RunJob,
    "end": End,
    "ack": Ack,
    "stop": Stop,
    "ready": Ready,
    "finished": AttemptEnd,
    "trouble": Trouble,
}
_NAMES = {kind: name for name, kind in _TYPES.items()}
_packer = packing.packer()
_KEYS = {kind: frozenset(kind._fields) for kind in _TYPES.values()}


class WireError(ProtocolError):
    """The peer sent something that is no message of this link."""


def encode(message: Message) -> bytes:
    """Return the frame of a message."""
    body = message.end if isinstance(message, Finished) else message
    values = body._asdict()
    if type(body) is RunJob:
        # As nearly always.
        if body.limits is NONE:
            del values["limits"]
        if body.shell is None:
            del values["shell"]
    elif type(body) is Hello:
        values["means"] = _plain(body.means)
    values["type"] = _NAMES[type(body)]
    return frames.encode_frame(_packer.pack(values))


class Decoder:
    """Cuts the bytes of the link, however split, into messages."""

    def __init__(self) -> None:
        self._frames = frames.FrameDecoder(MAX_FRAME)

    def receive_data(self, data: bytes) -> list[Message]:
        """Take bytes off the wire; return the messages they complete, in order.

        Raises:
            ProtocolError: they are no messages of this link.
        """
        return [decode(payload) for payload in self._frames.receive_data(data)]


def decode(payload: bytes) -> Message:
    """Return the message in a frame's payload.

    Raises:
        ProtocolError: it is none of this link.
    """
    body = packing.unpack(payload)
    try:
        kind = _TYPES[body.pop("type")]
        for name, read in _READ.get(kind, ()):
            if body.get(name) is not None:
                body[name] = read(body[name])
        if not body.keys() <= _KEYS[kind]:
            body = {name: body[name] for name in kind._fields if name in body}
        message = kind(**body)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise WireError(f"not a message of the worker link: {error!r}") from None
    return Finished(message) if kind is AttemptEnd else message


def _command(value: Any) -> Command:
    return value if isinstance(value, str) else tuple(value)


def _limits(value: Any) -> Limits:
    nice, memory, cpu, tasks, rlimits = value
    return shared(Limits(nice, memory, cpu, tasks, tuple(map(tuple, rlimits))))


def _plain(means: Means) -> list[Any]:
    controllers, missing, nice, ceilings = means
    return [sorted(controllers), missing, nice, dict(ceilings)]


def _means(value: Any) -> Means:
    controllers, *others = value
    return Means(frozenset(controllers), *others)


def _run_as(value: Any) -> RunAs:
    uid, groups, minimal = value
    return RunAs(uid, None if groups is None else tuple(groups), minimal)


_READ: dict[type[Any], tuple[tuple[str, Callable[[Any], Any]], ...]] = {
    Hello: (("means", _means),),
    RunJob: (("command", _command), ("limits", _limits), ("user", _run_as)),
    End: (("reason", Reason),),
    AttemptEnd: (("reason", Reason),),
}
