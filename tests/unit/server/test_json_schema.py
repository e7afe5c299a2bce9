"""The notation of types, and its translation into JSON Schema."""

from typing import Any

import pytest

from queuectld.server.schema import json_schema
from queuectld.server.schema.json_schema import NotationError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("int", {"type": "integer"}),
        ("int -3..7", {"type": "integer", "minimum": -3, "maximum": 7}),
        ("int 1..", {"type": "integer", "minimum": 1, "maximum": 2**63 - 1}),
        ("str 1..128", {"type": "string", "minLength": 1, "maxLength": 128}),
        ("stdout | stderr", {"enum": ["stdout", "stderr"]}),
        ("int | null", {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        (
            "0 | bytes 5..9",
            {
                "anyOf": [
                    {"const": 0},
                    {"type": "integer", "unit": "bytes", "minimum": 5, "maximum": 9},
                ]
            },
        ),
        (
            "[JOB] 0..4",
            {
                "type": "array",
                "items": {"$ref": "#/forms/JOB"},
                "minItems": 0,
                "maxItems": 4,
            },
        ),
        (
            "{unix: bool}",
            {"type": "object", "additionalProperties": {"type": "boolean"}},
        ),
        (
            "{a: {b: any}, c?: bin}",
            {
                "type": "object",
                "properties": {
                    "a": {"type": "object", "properties": {"b": {}}, "required": ["b"]},
                    "c": {"format": "bin"},
                },
                "required": ["a"],
            },
        ),
        ("{}", {"type": "object", "properties": {}, "required": []}),
    ],
)
def test_a_type_is_a_schema(text: str, expected: dict[str, Any]) -> None:
    """Each type has the schema that programs get."""
    assert json_schema.of(text) == expected


@pytest.mark.parametrize(
    "text", ["", "int |", "[int", "{a: int", "{a int}", "int]", "a & b", "{a: int b}"]
)
def test_what_is_no_type_is_no_schema(text: str) -> None:
    """A text that is not in the notation raises an error."""
    with pytest.raises(NotationError):
        json_schema.of(text)
