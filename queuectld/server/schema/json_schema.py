"""Translates the type notation of methods and forms into JSON Schema.

People read the notation, in PROTOCOL.md (which defines it) and in ``describe``;
programs read the schema made from it. So both come from one source.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

Schema = dict[str, Any]

MAX_INT = 2**63 - 1
"""The maximum of a range that names none: what SQLite and most languages can store."""

_TOKEN = re.compile(
    r"\s*(?:(?P<range>-?\d+(?:\.\d+)?\.\.(?:-?\d+(?:\.\d+)?)?)"
    r"|(?P<number>-?\d+(?:\.\d+)?)"
    r"|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<mark>[][{}:,|?]))"
)

TYPES: Mapping[str, tuple[Schema, str]] = MappingProxyType(
    {
        "int": ({"type": "integer"}, "imum"),
        "number": ({"type": "number"}, "imum"),
        "seconds": ({"type": "number", "unit": "seconds"}, "imum"),
        "bytes": ({"type": "integer", "unit": "bytes"}, "imum"),
        "str": ({"type": "string"}, "Length"),
        "unix": ({"anyOf": [{"type": "string"}, {"format": "bin"}]}, "Bytes"),
        "bin": ({"format": "bin"}, "Bytes"),
        "time": ({"type": "string", "format": "date-time"}, ""),
        "bool": ({"type": "boolean"}, ""),
        "null": ({"type": "null"}, ""),
        "map": ({"type": "object"}, "Properties"),
        "any": ({}, ""),
    }
)
"""By name of a type: its schema, and the suffix of the keywords for its range."""


class NotationError(ValueError):
    """A type is not in the notation: a programming error, found by a test."""


@lru_cache(maxsize=1024)
def of(text: str) -> Schema:
    """Return the JSON Schema of a type; see PROTOCOL.md, "Types".

    The result is shared between callers and must not be changed.

    Raises:
        NotationError: the text is not in the notation.
    """
    return _Parser(text).parse()


class _Parser:
    """Parses one text, by recursive descent."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[tuple[str, str]] = []
        position, end = 0, len(text.rstrip())
        while position < end:
            match = _TOKEN.match(text, position)
            if match is None:
                raise NotationError(f"{text!r} is no type from {text[position:]!r} on")
            assert match.lastgroup is not None
            self._tokens.append((match.lastgroup, match[match.lastgroup]))
            position = match.end()
        self._tokens.reverse()

    def parse(self) -> Schema:
        found = self._alternatives()
        if self._tokens:
            raise NotationError(f"{self._text!r} goes on with {self._tokens[-1][1]!r}")
        return found

    def _alternatives(self) -> Schema:
        found = [self._one()]
        while self._took("|"):
            found.append(self._one())
        if len(found) == 1:
            return found[0]
        if all(each.keys() == {"const"} for each in found):
            return {"enum": [each["const"] for each in found]}
        return {"anyOf": found}

    def _one(self) -> Schema:
        kind, text = self._next()
        if kind == "number":
            return {"const": _number(text)}
        if kind == "name":
            return self._named(text)
        reader: Callable[[], Schema] | None = {"[": self._list, "{": self._map}.get(
            text
        )
        if reader is None:
            raise NotationError(f"{self._text!r} has {text!r} where a type belongs")
        return reader()

    def _named(self, name: str) -> Schema:
        if name.isupper():
            return {"$ref": f"#/forms/{name}"}
        if name not in TYPES:
            return {"const": name}
        base, keyword = TYPES[name]
        return {**base, **self._range(keyword)}

    def _list(self) -> Schema:
        items = self._alternatives()
        self._expect("]")
        return {"type": "array", "items": items, **self._range("Items")}

    def _map(self) -> Schema:
        properties: dict[str, Schema] = {}
        required: list[str] = []
        while not self._took("}"):
            name = self._next()[1]
            optional = self._took("?")
            self._expect(":")
            value = self._alternatives()
            if name in {"str", "unix"}:
                self._expect("}")
                return {"type": "object", "additionalProperties": value}
            properties[name] = value
            if not optional:
                required.append(name)
            if not self._took(","):
                self._expect("}")
                break
        return {"type": "object", "properties": properties, "required": required}

    def _range(self, keyword: str) -> Schema:
        if not self._tokens or self._tokens[-1][0] != "range" or not keyword:
            return {}
        least, _, most = self._next()[1].partition("..")
        bounds = {f"min{keyword}": _number(least)}
        if not most and keyword == "imum":
            return {**bounds, "maximum": MAX_INT}
        return {**bounds, f"max{keyword}": _number(most)} if most else bounds

    def _took(self, mark: str) -> bool:
        if self._tokens and self._tokens[-1][1] == mark:
            self._tokens.pop()
            return True
        return False

    def _expect(self, mark: str) -> None:
        if not self._took(mark):
            raise NotationError(f"{self._text!r} lacks a {mark!r}")

    def _next(self) -> tuple[str, str]:
        if not self._tokens:
            raise NotationError(f"{self._text!r} ends too early")
        return self._tokens.pop()


def _number(text: str) -> float:
    return float(text) if "." in text else int(text)
