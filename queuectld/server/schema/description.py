"""The description of the protocol that ``describe`` returns, made from the tables."""

from collections.abc import Mapping
from typing import Any

from queuectl_protocol.errors import ErrorCode
from queuectld.core import submission_fields
from queuectld.server.schema import forms, json_schema
from queuectld.server.schema.method import Method, Param

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
"""The codes that any request can meet."""


def describe(methods: Mapping[str, Method]) -> dict[str, Any]:
    """Return the description of these methods, without the limits."""
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
            for name, field in submission_fields.GIVEN.items()
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
