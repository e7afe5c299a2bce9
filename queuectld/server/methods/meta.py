"""Methods about the protocol itself."""

from collections.abc import Mapping
from typing import Any

from queuectl_protocol.errors import ErrorCode
from queuectl_protocol.vocabulary import Role
from queuectld.core import submission
from queuectld.server.call import Call
from queuectld.server.method import Method, Result

COMMON = (
    ErrorCode.BAD_REQUEST,
    ErrorCode.UNKNOWN_METHOD,
    ErrorCode.INVALID_PARAMS,
    ErrorCode.FRAME_TOO_LARGE,
    ErrorCode.FORBIDDEN,
    ErrorCode.SHUTTING_DOWN,
    ErrorCode.INTERNAL,
)
"""What any request can meet."""


async def ping(_call: Call) -> Result:
    """Answer."""
    return {}


async def describe(call: Call) -> Result:
    """Return the table of methods as data."""
    return description(call.service.methods)


def description(methods: Mapping[str, Method]) -> dict[str, Any]:
    """Return what ``describe`` tells about these methods."""
    return {
        "methods": [_method(method) for method in methods.values()],
        "job_fields": [
            {
                "name": name,
                "type": field.type,
                "doc": field.doc,
                "compared": field.compared,
            }
            for name, field in submission.FIELDS.items()
        ],
        "errors": list(ErrorCode),
        "common_errors": list(COMMON),
    }


def _method(method: Method) -> dict[str, Any]:
    return {
        "name": method.name,
        "doc": method.doc,
        "params": [
            {
                "name": param.name,
                "type": param.type,
                "required": param.required,
                "default": param.default,
                "doc": param.doc,
            }
            for param in method.params
        ],
        "result": method.result,
        "errors": list(method.errors),
        "role": method.role,
    }


METHODS = (
    Method(name="ping", doc="Do nothing, and answer.", handler=ping, role=Role.READ),
    Method(
        name="describe",
        doc="Tell all methods, the fields of a job and the error codes. The errors of "
        "a method are its own; common_errors can meet any request.",
        handler=describe,
        role=Role.READ,
        result="{methods: [{name, doc, params: [{name, type, required, default, doc}], "
        "result, errors: [str], role}], job_fields: [{name, type, doc, compared}], "
        "errors: [str], common_errors: [str]}",
    ),
)
