"""What is fuzzed: all that a client's bytes go through before a handler has them.

Each step may refuse what it is given with its own error, which must be one that a
client can be told, and do nothing else. ``make fuzz`` and a test call it.
"""

from collections.abc import Iterator
from typing import Any

from helpers import vectors
from queuectl_protocol import messages
from queuectl_protocol.errors import BadMessageError, ErrorCode, FrameTooLargeError
from queuectl_protocol.frames import HEADER, FrameDecoder
from queuectl_protocol.messages import Request
from queuectld.core import submission
from queuectld.core.errors import InvalidJobError
from queuectld.core.fields import texts
from queuectld.core.submission import GIVEN
from queuectld.server.dispatch import METHODS
from queuectld.server.errors import UnknownMethodError, refusal
from queuectld.server.schema import arguments
from queuectld.server.schema.arguments import InvalidParamsError

MAX_FRAME = 4096
CONTAINERS = 50
NOW = 1_800_000_000_000


def receive(data: bytes) -> None:
    """Take bytes off the wire."""
    # Chance seldom writes a good length: what follows a bad one is tried as well.
    for payload in [*_frames(data), data, data[HEADER.size :]]:
        try:
            message = messages.decode(payload, CONTAINERS)
        except BadMessageError as error:
            messages.encode(
                messages.failure(error.id, ErrorCode.BAD_REQUEST, f"{error}")
            )
            continue
        again = messages.decode(messages.encode(message)[HEADER.size :])
        # A message with a NaN in it is not equal to itself.
        assert type(again) is type(message)
        if isinstance(message, Request):
            _ask(message)


def _frames(data: bytes) -> list[bytes]:
    """Cut a stream at every byte, and not at all: the same must come out."""
    bitwise, refused = FrameDecoder(MAX_FRAME), False
    found: list[bytes] = []
    try:
        for at in range(len(data)):
            found += bitwise.receive_data(data[at : at + 1])
    except FrameTooLargeError:
        refused = True
    whole = FrameDecoder(MAX_FRAME)
    try:
        assert whole.receive_data(data) == found
    except FrameTooLargeError:
        assert refused
    else:
        assert not refused
        assert whole.pending == bitwise.pending <= MAX_FRAME + HEADER.size
    return found


def _ask(request: Request) -> None:
    try:
        _check(request)
    except (UnknownMethodError, InvalidParamsError, InvalidJobError) as error:
        told = refusal(error)
        assert told.code is not ErrorCode.INTERNAL
        messages.encode(messages.failure(request.id, *told))


def _check(request: Request) -> None:
    method = METHODS.get(request.method)
    if method is None:
        raise UnknownMethodError(request.method, METHODS)
    given = arguments.checked(method.params, request.params)
    defaults = submission.check(given.get("defaults") or {})
    jobs = [given["job"]] if "job" in given else given.get("jobs") or []
    for job in jobs:
        wanted = submission.parse(job, submitter=0, now=NOW, defaults=defaults)
        assert texts.byte_count(wanted) >= 0


def seeds() -> list[bytes]:
    """Return good requests of each method and field, and all vectors."""
    found = [messages.encode(request) for request in _requests()]
    for name in ("frames", "messages"):
        found += [bytes.fromhex(each["hex"]) for each in vectors.load(name)]
    return found


def _requests() -> Iterator[Request]:
    for method in METHODS.values():
        for value in ("1", 1, True, "/x", ["completed"], {"command": "true"}):
            named = {param.name: value for param in method.params}
            yield Request(1, method.name, named)
    values: list[Any] = ["true", "0022", "default", 1, 0.5, ["true", "x"], {"A": "b"}]
    for field in GIVEN:
        for value in values:
            job = {"command": "true", field: value}
            yield Request("x", "enqueue", {"job": job})
            yield Request(2**63, "enqueue_many", {"jobs": [job], "defaults": job})
