"""The daemon takes exactly the values that ``describe`` says it takes."""

import math
import re
from typing import Any

import msgpack
import pytest

from helpers.jobs import NOW
from helpers.schemas import Described
from queuectl_protocol import messages
from queuectl_protocol.errors import BadMessageError
from queuectld.core import submission_fields
from queuectld.core.errors import InvalidJobError
from queuectld.server.dispatch import METHODS
from queuectld.server.schema import arguments
from queuectld.server.schema.arguments import InvalidParamsError
from queuectld.server.schema.description import describe
from queuectld.server.schema.method import Param

TOLD = Described(describe(METHODS))

NUMBERS: list[Any] = [
    0, 1, -1, 2, 255, 256, 257, 1000, 1001, 1_000_000, 1_000_001, -1_000_000,
    -1_000_001, 2**53, 2**63 - 1, 2**63, 2**64 - 1, -(2**63), 1.0, -0.0, 3.0, 0.1, 1.5,
    0.05, 1e300, -1e300, math.nan, math.inf, -math.inf,
]  # fmt: skip
TEXTS: list[Any] = [
    "", "x", "/", "stdout", "error", "dead", "default", "0022", "a c", "a\0b", "\udcff",
    "x" * 128, "x" * 129, "x" * 257, "/" * 4095, "/" * 4096, "x" * 131_071,
    "x" * 131_072, b"", b"x", b"/", b"\xff", b"a\0b", b"x" * 131_072,
    "2026-12-01T10:00:00Z",
]  # fmt: skip
OTHERS: list[Any] = [
    True, False, [], {}, [1], [1.0], [-1], ["dead"], ["stdout", "stderr"], [[]], [{}],
    ["true", b"\xff"], [""], {"core": 1.0}, {"core": 0.5}, {"A": "b"}, {b"A": b"\xff"},
    {"command": "true"}, [{"command": "true"}], [{"command": "true"}, 1],
    msgpack.Timestamp(1), [0] * 1001,
]  # fmt: skip
VALUES = NUMBERS + TEXTS + OTHERS

EVERY = [(method.name, param) for method in METHODS.values() for param in method.params]


def _told(method: str, name: str) -> dict[str, Any]:
    (found,) = [p for p in TOLD.methods[method]["params"] if p["name"] == name]
    schema: dict[str, Any] = found["schema"]
    return schema


def _taken(param: Param, value: Any) -> bool:
    refused: InvalidParamsError | None = None
    try:
        arguments.checked((param,), {param.name: value})
    except InvalidParamsError as error:
        refused = error
    if refused is None:
        return True
    _assert_for_people(str(refused))
    assert refused.data["param"] == param.name
    return False


def _taken_as(name: str, value: Any) -> bool:
    refused: InvalidJobError | None = None
    try:
        submission_fields.parse({"command": "x", name: value}, submitter=None, now=NOW)
    except InvalidJobError as error:
        refused = error
    if refused is None:
        return True
    _assert_for_people(str(refused))
    assert refused.data == {"field": name}
    return False


def _assert_for_people(message: str) -> None:
    """The message has no words of Python or of a library."""
    for word in (
        "NaN", "Traceback", "<class", "object", "int()", "float", "NoneType", "dict",
        "strict_map_key", "StackError", "unpack", "bytes-like",
    ):  # fmt: skip
        assert word not in message, message
    assert not re.search(r"(^|[\s(,])b['\"]", message), message


@pytest.mark.parametrize(
    ("method", "param"), EVERY, ids=[f"{name}-{param.name}" for name, param in EVERY]
)
def test_what_a_parameter_takes_is_as_described(method: str, param: Param) -> None:
    """The schema refuses nothing that the daemon takes, and no number it refuses."""
    schema = _told(method, param.name)
    # What is in a job is checked where its fields are.
    whole = {"SUBMISSION": {"type": "object"}, "[SUBMISSION]": {"type": "array"}}
    schema = whole.get(param.type, schema)
    for value in VALUES:
        described = not TOLD.problems(schema, value, closed=False)
        if _taken(param, value):
            assert described, f"{value!r:.60} is taken"
        elif _comparable(value):
            assert not described, f"{value!r} is refused"


def _comparable(value: Any) -> bool:
    """Whether a schema can express all that the daemon checks of a value.

    It cannot say what a text looks like, and that NaN is no number.
    """
    return isinstance(value, int | float) and not math.isnan(value)


@pytest.mark.parametrize("name", submission_fields.GIVEN)
def test_what_a_field_takes_is_as_described(name: str) -> None:
    """Each field of a job takes what its schema allows, for every kind of value."""
    schema = TOLD.told["forms"]["SUBMISSION"]["properties"][name]
    for value in VALUES:
        described = not TOLD.problems(schema, value, closed=False)
        if _taken_as(name, value):
            assert described, f"{value!r:.60} is taken"
        elif _comparable(value):
            assert not described, f"{value!r} is refused"


@pytest.mark.parametrize(
    "payload",
    [
        b"", b"\xc1", b"\x80\x80", b"\x81\x01\x01", b"\x81\xc0\x01", b"\x91" * 5000,
        b"\xd4\x05\x00", b"\xc7\x03\xff123", b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff", b"\xdb\x00\x01", b"\x81\x90\x01", b"\xc0",
        b"\x81\xd6\xff\x00\x00\x00\x01\x01",
    ],
)  # fmt: skip
def test_what_is_no_message_is_so_in_the_words_of_the_protocol(payload: bytes) -> None:
    """The message fits a reader with another msgpack library and language."""
    with pytest.raises(BadMessageError) as caught:
        messages.decode(payload)
    _assert_for_people(str(caught.value))
