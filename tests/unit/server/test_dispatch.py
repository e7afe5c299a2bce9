"""The dispatch table is complete, consistent, and described as it is."""

import inspect
import json
from collections.abc import Iterable

import pytest

from queuectl_protocol import packing
from queuectl_protocol.errors import ErrorCode
from queuectld.core import errors as core
from queuectld.core import submission_fields
from queuectld.server.dispatch import METHODS
from queuectld.server.errors import CODES, MAX_MESSAGE, UnknownMethodError, refusal
from queuectld.server.schema import json_schema
from queuectld.server.schema.description import COMMON, describe
from queuectld.server.schema.method import Method
from queuectld.store import api as store

EVERY = pytest.mark.parametrize("method", METHODS.values(), ids=list(METHODS))


@EVERY
def test_a_handler_takes_what_its_row_declares(method: Method) -> None:
    """Names in the table and arguments in the code are the same, in the same order."""
    signature = inspect.signature(method.handler)
    family, call, *arguments = signature.parameters.values()
    assert family.name == "self"
    assert call.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    assert [each.name for each in arguments] == [each.name for each in method.params]
    assert all(each.kind is inspect.Parameter.KEYWORD_ONLY for each in arguments)


@EVERY
def test_a_default_passes_its_own_check(method: Method) -> None:
    """A client that sends the default gets the same as one that sends nothing."""
    for param in method.params:
        assert not (param.required and param.default is not None)
        if param.default is not None:
            value = param.default
            value = list(value) if isinstance(value, tuple) else value
            assert list(_all(param.check(value))) == list(_all(param.default))


def _all(value: object) -> Iterable[object]:
    return value if isinstance(value, list | tuple) else [value]


@EVERY
def test_a_method_says_which_jobs_it_changes(method: Method) -> None:
    """It names parameters that it has; a method that only waits or reads names none."""
    declared = {param.name for param in method.params}
    assert {*(method.changes or ())} <= declared
    assert method.changes is None or not (method.waits or method.bulky)
    if method.others is not None:
        assert declared & {"id", "ids"}
        assert method.others.includes(method.role)


@EVERY
def test_a_method_says_what_it_is(method: Method) -> None:
    """``describe`` has a sentence, a type and a phrase for each."""
    assert method.doc.endswith(".")
    assert json_schema.of(method.result)
    assert all("type" in json_schema.of(event)["properties"] for event in method.events)
    assert all(json_schema.of(param.type) for param in method.params)
    assert all(param.doc and param.type for param in method.params)


@EVERY
def test_a_method_lists_only_errors_of_its_own(method: Method) -> None:
    """The codes that any request can meet are listed once, apart."""
    assert not set(method.errors) & set(COMMON)
    assert len(set(method.errors)) == len(method.errors)


def test_describe_tells_every_method_and_travels() -> None:
    """It is generated from the table and is plain data."""
    told = describe(METHODS)
    assert [method["name"] for method in told["methods"]] == list(METHODS)
    assert [field["name"] for field in told["job_fields"]] == list(
        submission_fields.GIVEN
    )
    assert told["errors"] == list(ErrorCode)
    assert packing.unpack(packing.pack(told)) == json.loads(json.dumps(told))
    listing = next(m for m in told["methods"] if m["name"] == "list")
    limit = next(param for param in listing["params"] if param["name"] == "limit")
    assert limit | {"doc": ""} == {
        "name": "limit",
        "type": "int 1..",
        "schema": {"type": "integer", "minimum": 1, "maximum": 2**63 - 1},
        "required": False,
        "default": 100,
        "doc": "",
    }


def test_every_error_code_is_somebodys() -> None:
    """Each code is used by a method or common to all."""
    used = {code for method in METHODS.values() for code in method.errors}
    unused = set(ErrorCode) - used - set(COMMON)
    assert unused == {ErrorCode.TOO_MANY_CONNECTIONS}


def test_every_refusal_of_the_queue_has_its_code() -> None:
    """A domain error without a row would be answered as ``internal``."""

    def leaves(kind: type[Exception]) -> list[type[Exception]]:
        below = [leaf for child in kind.__subclasses__() for leaf in leaves(child)]
        return [kind, *below]

    for kind in [*leaves(core.QueueError)[1:], store.StoreError, store.StoreFullError]:
        assert kind in CODES, kind


def test_the_nearest_row_decides() -> None:
    """A conflict is a subclass of "exists" and has its own code."""
    error = core.JobConflictError("a", "command", 3)
    code, message, data = refusal(error)
    assert (code, data) == (ErrorCode.CONFLICT, {"id": "a", "index": 3})
    assert "command is different" in message


def test_what_nobody_expected_is_internal() -> None:
    """Neither its text nor its type reaches the client."""
    code, message, data = refusal(KeyError("password"))
    assert (code, data) == (ErrorCode.INTERNAL, None)
    assert "password" not in message


def test_messages_have_an_end() -> None:
    """A long value of the client is cut in the message."""
    error = core.InvalidJobError("x" * 1_000_000, "y" * 1_000_000)
    _code, message, data = refusal(error)
    assert data is not None
    assert (len(message), len(data["field"])) == (MAX_MESSAGE, MAX_MESSAGE)


def test_an_unlike_method_points_at_describe() -> None:
    """If no known name is similar, the message names ``describe``."""
    error = UnknownMethodError("quux", METHODS)
    assert str(error) == "there is no method 'quux'; describe tells them all"
