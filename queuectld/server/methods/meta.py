"""Methods about the protocol itself."""

from collections.abc import Mapping
from typing import Any

from queuectl_protocol.errors import ErrorCode
from queuectl_protocol.vocabulary import Role
from queuectld.core import submission
from queuectld.server.call import Call
from queuectld.server.connection.greeting import greeting
from queuectld.server.context import Context
from queuectld.server.schema import forms, json_schema, params, wire_limits
from queuectld.server.schema.method import Method, Param, Result

COMMON = (
    ErrorCode.BAD_REQUEST,
    ErrorCode.UNKNOWN_METHOD,
    ErrorCode.INVALID_PARAMS,
    ErrorCode.FRAME_TOO_LARGE,
    ErrorCode.TOO_MANY_REQUESTS,
    ErrorCode.FORBIDDEN,
    ErrorCode.SHUTTING_DOWN,
    ErrorCode.INTERNAL,
)
"""What any request can meet."""


async def ping(_call: Call) -> Result:
    """Answer."""
    return {}


async def greet(call: Call, *, bin: bool) -> Result:
    """Speak to this connection as it asks for, and say who speaks."""
    # Nothing is waited for here: it holds for all that is sent behind this request.
    call.peer.outbox.write_bin(wanted=bin)
    return {
        "greeting": greeting(call.context, call.peer),
        "limits": _limits(call.context),
        "bin": bin,
    }


async def describe(call: Call) -> Result:
    """Return the table of methods as data."""
    told = description(call.service.methods)
    return {**told, "limits": _limits(call.context)}


def _limits(context: Context) -> dict[str, int]:
    return wire_limits.in_force(context.config(), context.broker.settings)


def description(methods: Mapping[str, Method]) -> dict[str, Any]:
    """Return what ``describe`` tells about these methods, the limits apart."""
    return {
        "methods": [_method(method) for method in methods.values()],
        "job_fields": [
            {
                "name": name,
                "type": field.type,
                "schema": json_schema.of(field.type),
                "doc": field.doc,
                "compared": field.compared,
            }
            for name, field in submission.FIELDS.items()
        ],
        "forms": forms.schemas(),
        "errors": list(ErrorCode),
        "common_errors": list(COMMON),
    }


def _method(method: Method) -> dict[str, Any]:
    return {
        "name": method.name,
        "doc": method.doc,
        "role": method.role,
        "others": method.others,
        "params": [_param(param) for param in method.params],
        "result": method.result,
        "result_schema": json_schema.of(method.result),
        "events": [
            {"type": event, "schema": json_schema.of(event)} for event in method.events
        ],
        "errors": list(method.errors),
    }


def _param(param: Param) -> dict[str, Any]:
    return {
        "name": param.name,
        "type": param.type,
        "schema": json_schema.of(param.type),
        "required": param.required,
        "default": param.default,
        "doc": param.doc,
    }


METHODS = (
    Method(name="ping", doc="Do nothing, and answer.", handler=ping, role=Role.READ),
    Method(
        name="greet",
        doc="Say how this connection is to be spoken to; return the greeting again, "
        "and the limits.",
        handler=greet,
        role=Role.READ,
        params=(
            params.flag(
                "bin",
                "from the reply on, strings that are not UTF-8 come as bin, not as str",
            ),
        ),
        result="{greeting: GREETING, limits: {str: int}, bin: bool}",
    ),
    Method(
        name="describe",
        doc="Tell all methods, the fields of a job, the forms, the limits and the "
        "error codes. The errors of a method are its own; common_errors can meet any "
        "request.",
        handler=describe,
        role=Role.READ,
        result="{methods: [METHOD], job_fields: [FIELD], forms: {str: map}, "
        "errors: [str], common_errors: [str], limits: {str: int}}",
        bulky=True,
    ),
)
