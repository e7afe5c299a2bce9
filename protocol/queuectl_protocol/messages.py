"""Messages: the msgpack maps inside frames, checked on the way in.

A message is one of five shapes. Which one it is shows in its keys, looked for in
this order: ``server`` is the greeting, ``sub`` an event of a stream, ``method`` a
request, ``error`` a failure, ``result`` a reply. Unknown keys are ignored, so keys can
be added.

Strings that name files, commands, arguments or variables are Unix byte strings:
bytes that are not UTF-8 travel as they are inside a msgpack str and appear in
Python as surrogate escapes (PEP 383).

They are named tuples, and not dataclasses, for the sake of every short command: five
dataclasses and their module take 2 ms to import, a tenth of a command.
"""

from typing import Any, NamedTuple, TypeVar

import msgpack

from queuectl_protocol.errors import RETRYABLE, ErrorCode, ProtocolError
from queuectl_protocol.frames import encode_frame
from queuectl_protocol.limits import MAX_DEPTH

T = TypeVar("T")

MAX_REQUEST_ID = 64
"""Characters in a request's id, when it is a string."""

_CONTAINERS = frozenset({list, dict})

_TOO_DEEP = f"lists and maps are nested more than {MAX_DEPTH} deep"

_SMALL = 64 * 1024
"""Bytes under which nobody counts lists and maps: so many cost no more than 5 MB."""


class Greeting(NamedTuple):
    """The server's first message on every connection.

    Attributes:
        body: the whole map: ``server``, ``version``, ``api``, ``min_api``,
            ``instance``, ``max_frame``, ``features``, ``uid``, ``you``.
    """

    body: dict[str, Any]


class Request(NamedTuple):
    """A call: ``id`` returns in the reply, ``params`` are named."""

    id: int | str
    method: str
    params: dict[str, Any] = {}  # noqa: RUF012 - nobody changes what was asked


class Reply(NamedTuple):
    """The good end of a request."""

    id: int | str
    result: Any


class Failure(NamedTuple):
    """The bad end of a request; ``id`` is None when the request had none to read."""

    id: int | str | None
    code: str
    message: str
    data: dict[str, Any] | None = None
    retryable: bool = False


class StreamEvent(NamedTuple):
    """One event of a stream; ``sub`` is the id of the request that opened it.

    Attributes:
        sub: the id of the request.
        seq: 1, 2, 3 ... within the stream.
        body: the event's own keys.
    """

    sub: int | str
    seq: int
    body: dict[str, Any]


Message = Greeting | Request | Reply | Failure | StreamEvent


class BadMessageError(ProtocolError):
    """A frame held no message of ours; the frames after it are still readable.

    Attributes:
        id: the id of the request in it, when that much could be read.
    """

    def __init__(self, reason: str, request_id: int | str | None = None) -> None:
        super().__init__(reason)
        self.id = request_id


def encode(message: Message, *, as_bin: bool = False) -> bytes:
    """Return the frame of a message.

    Args:
        message: what to send.
        as_bin: write each string that is not UTF-8 as bin, but for ids, which go back
            as they came.
    """
    body = _to_map(message)
    if not as_bin:
        return encode_frame(pack(body))
    try:
        # Nearly always: no such string is in it.
        return encode_frame(msgpack.Packer().pack(body))
    except UnicodeEncodeError:
        ids = {key: body[key] for key in ("id", "sub") if key in body}
        return encode_frame(pack(_bin(body) | ids))


def _bin(value: Any) -> Any:
    match value:
        case str():
            try:
                value.encode()
            except UnicodeEncodeError:
                return value.encode("utf-8", "surrogateescape")
            return value
        case dict():
            return {_bin(key): _bin(item) for key, item in value.items()}
        case list() | tuple():
            return [_bin(item) for item in value]
    return value


def pack(value: Any) -> bytes:
    """Return ``value`` in msgpack, with surrogate escapes as the bytes they were."""
    packed: bytes = packer().pack(value)
    return packed


def packer() -> msgpack.Packer:
    """Return what ``pack`` packs with; each is for one thread only."""
    return msgpack.Packer(unicode_errors="surrogateescape")


def unpack(payload: bytes, max_containers: int | None = None) -> Any:
    """Return the one msgpack value in ``payload``.

    Args:
        payload: a frame's.
        max_containers: lists and maps that a large one may hold; None: any number.
            An empty one is a byte on the wire and 72 here, and each that is alive
            costs time whenever Python collects garbage: unlimited, 8 MiB of them
            take 600 MB and 9 seconds.

    Raises:
        BadMessageError: it is not exactly one value, nests too deeply, has a map
            key that is neither a string nor binary, or an extension type other than
            msgpack's own timestamp (which no field takes), or too many containers.
    """
    counting = max_containers is not None and len(payload) > _SMALL
    hook = _Counter(max_containers or 0) if counting else None
    try:
        value = msgpack.unpackb(
            payload,
            unicode_errors="surrogateescape",
            strict_map_key=True,
            ext_hook=_refuse_extension,
            list_hook=hook,
            object_hook=hook,
        )
    except BadMessageError:
        raise
    except (ValueError, msgpack.UnpackException, RecursionError) as error:
        raise BadMessageError(_why(error)) from None
    # A level takes a byte, and is a list or a map.
    if len(payload) > MAX_DEPTH and (hook is None or hook.count > MAX_DEPTH):
        _check_depth(value)
    return value


def _why(error: Exception) -> str:
    """Return what is wrong with a payload, in the words of PROTOCOL.md.

    The library's own say nothing to somebody who uses another one.
    """
    if isinstance(error, msgpack.StackError | RecursionError):
        return _TOO_DEEP
    if isinstance(error, msgpack.ExtraData):
        return "a payload is one msgpack value, and here something follows it"
    if "strict_map_key" in str(error):
        return "keys of maps are strings"
    if "incomplete" in str(error) or isinstance(error, msgpack.OutOfData):
        return "the payload ends before its value does"
    return "the payload is no msgpack"


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            item
            for container in level
            if type(container) in _CONTAINERS
            for item in (container.values() if type(container) is dict else container)
            if type(item) in _CONTAINERS
        ]
        if not level:
            return
    raise BadMessageError(_TOO_DEEP)


def decode(payload: bytes, max_containers: int | None = None) -> Message:
    """Return the message in a frame's payload.

    Args:
        payload: a frame's.
        max_containers: see ``unpack``.

    Raises:
        BadMessageError: the payload is no message; its text says why.
    """
    body = unpack(payload, max_containers)
    if not isinstance(body, dict):
        raise BadMessageError("a message is a map")
    if not all(type(key) is str for key in body):
        raise BadMessageError("keys of a message are strings", _id_in(body))
    if "server" in body:
        return Greeting(body)
    if "sub" in body:
        return _decode_event(body)
    request_id = _decode_id(body.get("id"))
    if "method" in body:
        return _decode_request(request_id, body)
    if "error" in body:
        return _decode_failure(request_id, body["error"])
    if "result" in body and request_id is not None:
        return Reply(request_id, body["result"])
    raise BadMessageError(
        "a message has one of the keys method, result, error, sub, server", request_id
    )


class _Counter:
    """Takes each list and map as it is read, and so many of them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.count = 0

    def __call__(self, container: T) -> T:
        self.count += 1
        if self.count > self._most:
            raise BadMessageError(f"it holds more than {self._most} lists and maps")
        return container


def _refuse_extension(code: int, _data: bytes) -> Any:
    raise BadMessageError(f"extension type {code} is not used here")


def _to_map(message: Message) -> dict[str, Any]:
    match message:
        case Reply():
            return {"id": message.id, "result": message.result}
        case Request():
            return {
                "id": message.id,
                "method": message.method,
                "params": message.params,
            }
        case StreamEvent():
            return {"sub": message.sub, "seq": message.seq, **message.body}
        case Failure():
            error = {
                "code": message.code,
                "message": message.message,
                "data": message.data,
                "retryable": message.retryable,
            }
            return {"id": message.id, "error": error}
        case Greeting():
            return message.body


def _decode_id(value: Any) -> int | str | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise BadMessageError("id is a whole number or a string")
    if isinstance(value, str) and len(value) > MAX_REQUEST_ID:
        raise BadMessageError(f"id has at most {MAX_REQUEST_ID} characters")
    return value


def _id_in(body: dict[Any, Any]) -> int | str | None:
    """Return the id of what is no message, if it has one that can be returned."""
    try:
        return _decode_id(body.get("id"))
    except BadMessageError:
        return None


def _decode_request(request_id: int | str | None, body: dict[str, Any]) -> Request:
    if request_id is None:
        raise BadMessageError("a request has an id")
    method, params = body["method"], body.get("params")
    if not isinstance(method, str):
        raise BadMessageError("method is a string", request_id)
    if params is None:
        params = {}
    if not isinstance(params, dict) or not all(type(k) is str for k in params):
        raise BadMessageError("params is a map with strings as keys", request_id)
    return Request(request_id, method, params)


def _decode_failure(request_id: int | str | None, error: Any) -> Failure:
    if not isinstance(error, dict):
        raise BadMessageError("error is a map", request_id)
    code, message = error.get("code"), error.get("message")
    if not isinstance(code, str) or not isinstance(message, str):
        raise BadMessageError("error has a code and a message", request_id)
    data = error.get("data")
    return Failure(
        request_id,
        code,
        message,
        data if isinstance(data, dict) else None,
        retryable=error.get("retryable") is True,
    )


def _decode_event(body: dict[str, Any]) -> StreamEvent:
    sub, seq = _decode_id(body.pop("sub")), body.pop("seq", None)
    if sub is None or type(seq) is not int:
        raise BadMessageError("an event has sub and seq")
    return StreamEvent(sub, seq, body)


def failure(
    request_id: int | str | None,
    code: ErrorCode,
    message: str,
    data: dict[str, Any] | None = None,
) -> Failure:
    """Return a failure whose ``retryable`` follows from its code."""
    return Failure(request_id, code.value, message, data, retryable=code in RETRYABLE)
