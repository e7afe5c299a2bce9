"""The messages on the channel between the daemon and a worker.

The frames are those of the public socket; the channel is a socket pair that only these
two have. This module owns names and shapes, and does no I/O. Unknown keys are ignored,
so keys can be added; a change of meaning needs a new ``VERSION``. That matters after
an upgrade: a daemon that still runs the old code starts workers of the new code.
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
"""The worker's end of the channel, as a file number."""

MAX_FRAME = 256 * 1024 * 1024
"""Bytes. The peer is trusted: this only catches a stream whose frames have shifted.
Well over any frame limit of the public socket, through which every job came."""


class Hello(NamedTuple):
    """Daemon to worker, first: who the worker is and where its files go.

    Attributes:
        worker: its number.
        store: uuid of the store, the first half of every job's marker.
        record: path of its record file (``records``).
        socket: path of the public socket, for the job's environment.
        descriptors: soft limit of open files for the jobs; None: the worker's own.
        cgroup: directory below which each job gets a cgroup; None: there is none.
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
    """Daemon to worker: run this job. Also acknowledges the result before it.

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
        limits: ``NONE`` for the worker's own.
        user: the submitter to run it as; None for the worker's own account.
        shell: the shell that runs a command line; None for ``SHELL``.
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
    """Daemon to worker: end that job. A second one with less grace speeds it up.

    Attributes:
        reason: ``cancelled`` or ``interrupted``.
        grace: seconds between SIGTERM and SIGKILL; 0: SIGKILL at once.
    """

    lease: int
    reason: Reason
    grace: float


class Ack(NamedTuple):
    """Daemon to worker: the result under this lease is committed."""

    lease: int


class Stop(NamedTuple):
    """Daemon to worker: exit when idle, or when the job's result is acknowledged."""


class Ready(NamedTuple):
    """Worker to daemon: it has handled the hello and can take jobs."""

    pid: int


class Finished(NamedTuple):
    """Worker to daemon: the attempt ended, and none of its processes is left."""

    end: AttemptEnd


class Trouble(NamedTuple):
    """Worker to daemon: a sentence for the operator, to be written to the log.

    Attributes:
        lease: of the attempt that it is about; None if it is about the worker.
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


class ChannelError(ProtocolError):
    """The peer sent something that is no message of this channel."""


def encode(message: Message) -> bytes:
    """Return the frame of a message."""
    body = message.end if isinstance(message, Finished) else message
    values = body._asdict()
    if type(body) is RunJob:
        # Most jobs have neither.
        if body.limits is NONE:
            del values["limits"]
        if body.shell is None:
            del values["shell"]
    elif type(body) is Hello:
        values["means"] = _plain(body.means)
    values["type"] = _NAMES[type(body)]
    return frames.encode_frame(_packer.pack(values))


class Decoder:
    """Turns the bytes of the channel, however they are split, into messages."""

    def __init__(self) -> None:
        self._frames = frames.FrameDecoder(MAX_FRAME)

    def receive_data(self, data: bytes) -> list[Message]:
        """Take bytes that came; return the messages that they complete, in order.

        Raises:
            ProtocolError: they are no messages of this channel.
        """
        return [decode(payload) for payload in self._frames.receive_data(data)]


def decode(payload: bytes) -> Message:
    """Return the message in a frame's payload.

    Raises:
        ProtocolError: it holds none.
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
        raise ChannelError(f"not a message of the worker channel: {error!r}") from None
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
