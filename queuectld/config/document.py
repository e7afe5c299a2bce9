"""Parses TOML and finds the line of each key, which tomllib does not report.

It knows nothing of options.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

_LEVELS = 2
"""Levels of keys whose lines are found: options, and the keys in a table."""

_POSITION = re.compile(r"(.*) \(at (?:line (\d+), column \d+|end of document)\)")


class SyntaxProblemError(Exception):
    """The text is not TOML.

    Attributes:
        line: the first line is 1.
    """

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True, slots=True)
class Entry:
    """A top-level key: its value and its line; the first line is 1.

    Attributes:
        lines: the lines of the keys below it, if it is a table.
    """

    value: Any
    line: int
    lines: Mapping[str, int] = field(default_factory=dict)


def parse(content: bytes) -> dict[str, Entry]:
    """Return the top-level keys of a TOML document.

    Raises:
        SyntaxProblemError: the content is not TOML.
    """
    text = _decode(content).replace("\r\n", "\n")
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # TOMLDecodeError is a ValueError
        raise _problem(error, text) from None
    lines = dict(reversed(list(_keys(text))))
    below: dict[str, dict[str, int]] = {}
    for (key, *rest), line in lines.items():
        if rest:
            below.setdefault(key, {})[rest[0]] = line
    return {
        key: Entry(value, lines[key,], below.get(key, {}))
        for key, value in document.items()
    }


def _decode(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SyntaxProblemError("not UTF-8", line) from None


def _problem(error: Exception, text: str) -> SyntaxProblemError:
    """Take the line from the message: Python 3.11 has it nowhere else."""
    match = _POSITION.fullmatch(str(error))
    if match is None:
        return SyntaxProblemError(str(error), 1)
    last = text.rstrip("\n").count("\n") + 1
    return SyntaxProblemError(match[1], int(match[2] or last))


def _keys(text: str) -> Iterator[tuple[tuple[str, ...], int]]:
    """Yield each statement's keys of the first and the second level, with its line.

    The text is valid TOML as a whole, so a statement is complete as soon as it parses
    by itself: a value of several lines does not before its last line. After a header,
    keys are below the header's.
    """
    statement, first = "", 1
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.split("\n"), 1):
        statement += line + "\n"
        try:
            keys = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue
        if statement.lstrip(" \t").startswith("["):
            *_, table = _paths((), keys)
            yield from ((path, first) for path in _paths((), keys))
        else:
            yield from ((path, first) for path in _paths(table, keys))
        statement, first = "", number + 1


def _paths(table: tuple[str, ...], value: Any) -> Iterator[tuple[str, ...]]:
    """Yield the paths of the keys in a value, those of at most two levels."""
    if not isinstance(value, dict) or len(table) == _LEVELS:
        return
    for key, below in value.items():
        yield (*table, key)
        yield from _paths((*table, key), below)
