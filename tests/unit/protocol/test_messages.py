"""Messages: every vector, and what hostile bytes can do (nothing)."""

import contextlib
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import vectors
from queuectl_protocol import messages, packing
from queuectl_protocol.errors import RETRYABLE, BadMessageError, ErrorCode
from queuectl_protocol.frames import encode_frame
from queuectl_protocol.messages import (
    Failure,
    Greeting,
    Message,
    Reply,
    Request,
    StreamEvent,
)

ALL = vectors.load("messages")
GOOD = [vector for vector in ALL if "message" in vector]
BAD = [vector for vector in ALL if "error" in vector]
CANONICAL = [vector for vector in GOOD if vector["canonical"]]


def expected(vector: dict[str, Any]) -> Message:
    """Return the message that a vector describes."""
    body = vectors.from_json(vector["message"])
    match vector["kind"]:
        case "request":
            return Request(**body)
        case "reply":
            return Reply(**body)
        case "failure":
            return Failure(body["id"], **body["error"])
        case "event":
            return StreamEvent(body.pop("sub"), body.pop("seq"), body)
        case "greeting":
            return Greeting(body)
    raise AssertionError(f"no kind of message: {vector['kind']}")


@pytest.mark.parametrize("vector", GOOD, ids=vectors.name_of)
def test_a_message_is_read(vector: dict[str, Any]) -> None:
    """The payload of each vector means the message beside it."""
    assert messages.decode(bytes.fromhex(vector["hex"])) == expected(vector)


@pytest.mark.parametrize("vector", CANONICAL, ids=vectors.name_of)
def test_a_message_is_written(vector: dict[str, Any]) -> None:
    """Each message is written as the shortest msgpack, keys in the documented order."""
    frame = encode_frame(bytes.fromhex(vector["hex"]))
    assert messages.encode(expected(vector)).hex() == frame.hex()


@pytest.mark.parametrize("vector", BAD, ids=vectors.name_of)
def test_what_is_no_message_is_refused(vector: dict[str, Any]) -> None:
    """A bad payload is refused with a reason, and the id is kept if it was readable."""
    with pytest.raises(BadMessageError) as caught:
        messages.decode(bytes.fromhex(vector["hex"]))
    assert caught.value.id == vector["id"]
    assert str(caught.value).strip(": ") != "not a msgpack value"
    assert vector["error"] == ErrorCode.BAD_REQUEST


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_refused(payload: bytes) -> None:
    """No payload raises anything but the one error."""
    try:
        message = messages.decode(payload)
    except BadMessageError:
        return
    assert isinstance(message, Message)


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.binary(max_size=8)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
KEYS = st.sampled_from(
    ["id", "method", "params", "result", "error", "sub", "seq", "server", "code"]
)


@given(st.dictionaries(KEYS, VALUES))
def test_any_map_is_a_message_or_refused(body: dict[str, Any]) -> None:
    """Right keys with wrong values raise nothing but the one error."""
    payload = msgpack.packb(body)
    with contextlib.suppress(BadMessageError):
        messages.decode(payload)


@given(VALUES)
def test_what_is_packed_is_unpacked(value: Any) -> None:
    """Every value of the wire comes back equal."""
    assert packing.unpack(packing.pack(value)) == value


@given(st.binary(max_size=40))
def test_unix_strings_keep_their_bytes(raw: bytes) -> None:
    """A name of any bytes travels as those bytes inside a msgpack str."""
    name = raw.decode("utf-8", "surrogateescape")
    packed = packing.pack(name)
    assert packed.endswith(raw)
    assert packing.unpack(packed) == name


@pytest.mark.parametrize("code", ErrorCode)
def test_a_failure_says_whether_to_try_again(code: ErrorCode) -> None:
    """``retryable`` follows from the code alone."""
    failure = messages.failure(1, code, "no", {"why": 1})
    assert failure == Failure(1, str(code), "no", {"why": 1}, code in RETRYABLE)
