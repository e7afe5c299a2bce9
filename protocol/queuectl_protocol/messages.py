"""Messages: the maps inside frames, checked when they are read.

A message has one of five shapes. Its keys tell which, in this order: ``server`` means
the greeting, ``sub`` an event of a stream, ``method`` a request, ``error`` a failure,
``result`` a reply. Unknown keys are ignored, so keys can be added.

Messages are named tuples and not dataclasses, because every short command imports them:
five dataclasses and their module take 2 ms to import, a tenth of a command.
"""

from typing import Any, NamedTuple

from queuectl_protocol.errors import RETRYABLE, BadMessageError, ErrorCode
from queuectl_protocol.frames import encode_frame
from queuectl_protocol.packing import pack, pack_with_bin, unpack

MAX_REQUEST_ID = 64
"""Characters in a request's id, when it is a string."""


class Greeting(NamedTuple):
    """The server's first message on every connection.

    Attributes:
        body: the whole map: ``server``, ``version``, ``api``, ``min_api``,
            ``instance``, ``max_frame``, ``features``, ``uid``, ``you``.
    """

    body: dict[str, Any]


class Request(NamedTuple):
    """A client's request: its reply has the same ``id``; ``params`` are by name."""

    id: int | str
    method: str
    params: dict[str, Any] = {}  # noqa: RUF012 - nobody changes the params


class Reply(NamedTuple):
    """The result of a request that succeeded."""

    id: int | str
    result: Any


class Failure(NamedTuple):
    """The error of a request that failed; ``id`` is None if it had no readable one."""

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


def encode(message: Message, *, as_bin: bool = False) -> bytes:
    """Return the frame of a message.

    Args:
        message: what to send.
        as_bin: write each string that is not UTF-8 as bin, except ids, which return
            unchanged.
    """
    body = _to_map(message)
    if as_bin:
        return encode_frame(pack_with_bin(body, unless=("id", "sub")))
    return encode_frame(pack(body))


def decode(payload: bytes, max_containers: int | None = None) -> Message:
    """Return the message in a frame's payload.

    Args:
        payload: a frame's.
        max_containers: see ``unpack``.

    Raises:
        BadMessageError: the payload is no message; the error says why.
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
    """Return the id of a map that is no message, if it has a valid one."""
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
