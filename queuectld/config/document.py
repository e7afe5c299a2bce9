"""A TOML text with the line of each key, which tomllib does not tell.

It knows nothing of options.
"""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_POSITION = re.compile(r"(.*) \(at (?:line (\d+), column \d+|end of document)\)")


class SyntaxProblemError(Exception):
    """The text is not TOML.

    Attributes:
        line: where, from 1.
    """

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True, slots=True)
class Entry:
    """A top-level key: its value, and the line it stands in, from 1."""

    value: Any
    line: int


def parse(content: bytes) -> dict[str, Entry]:
    """Return the top-level keys of a TOML document.

    Raises:
        SyntaxProblemError: it is none.
    """
    text = _decode(content).replace("\r\n", "\n")
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # TOMLDecodeError is a ValueError
        raise _problem(error, text) from None
    lines = dict(reversed(list(_keys(text))))
    return {key: Entry(value, lines[key]) for key, value in document.items()}


def _decode(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SyntaxProblemError("not UTF-8", line) from None


def _problem(error: Exception, text: str) -> SyntaxProblemError:
    """Take apart the message, the only place where Python 3.11 tells the line."""
    match = _POSITION.fullmatch(str(error))
    if match is None:
        return SyntaxProblemError(str(error), 1)
    last = text.rstrip("\n").count("\n") + 1
    return SyntaxProblemError(match[1], int(match[2] or last))


def _keys(text: str) -> Iterator[tuple[str, int]]:
    """Yield each statement's top-level key with its line, in order.

    The text is TOML as a whole, so a statement is complete as soon as it parses
    alone: a value that goes on over lines does not before its end. After the first
    table header only headers can bring a new top-level key.
    """
    statement, first, in_table = "", 1, False
    for number, line in enumerate(text.split("\n"), 1):
        statement += line + "\n"
        try:
            keys = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue
        header = statement.lstrip(" \t").startswith("[")
        in_table = in_table or header
        if header or not in_table:
            yield from ((key, first) for key in keys)
        statement, first = "", number + 1
