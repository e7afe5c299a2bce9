"""Declares parameters: a function for each kind, with its type and its check.

Each returns a ``Param``. ``arguments`` applies the checks; ``describe`` and PROTOCOL.md
tell the types.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from queuectl_protocol.limits import MAX_ID, MAX_PATH
from queuectld.core import numbers, unixtext
from queuectld.server.schema.arguments import ItemError
from queuectld.server.schema.json_schema import MAX_INT
from queuectld.server.schema.method import Param

Choice = TypeVar("Choice", bound=StrEnum)
Item = TypeVar("Item")

MAX_SECONDS = 100 * 366 * 86_400
"""A century, so that milliseconds and deadlines stay in range everywhere."""


def flag(name: str, doc: str, *, default: bool = False) -> Param:
    """Declare a boolean."""

    def check(value: Any) -> bool:
        if not isinstance(value, bool):
            raise ValueError("is true or false")
        return value

    return Param(name, "bool", doc, check, default=default)


def optional_flag(name: str, doc: str) -> Param:
    """Declare a boolean without a default: the handler gets None when it is absent."""
    return Param(name, "bool", doc, flag(name, doc).check)


def whole(
    name: str,
    doc: str,
    *,
    minimum: int = 0,
    maximum: int = MAX_INT,
    default: int | None = None,
    required: bool = False,
) -> Param:
    """Declare a whole number from ``minimum`` to ``maximum``, both included."""

    def check(value: Any) -> int:
        return _whole(value, minimum, maximum)

    bounds = f"{minimum}.." if maximum == MAX_INT else f"{minimum}..{maximum}"
    return Param(name, f"int {bounds}", doc, check, required, default)


def _whole(value: Any, minimum: int, maximum: int) -> int:
    whole = numbers.whole(value)
    if not minimum <= whole <= maximum:
        raise ValueError(f"is {value}, and must be from {minimum} to {maximum}")
    return whole


def wholes(name: str, doc: str, *, most: int = 1000) -> Param:
    """Declare a list of whole numbers, each 0 or more."""

    def check(value: Any) -> list[int]:
        return _items(_list(value, most), lambda item: _whole(item, 0, MAX_INT))

    return Param(name, f"[int 0..] 0..{most}", doc, check)


def seconds(name: str, doc: str, *, default: float | None = None) -> Param:
    """Declare a duration in seconds, 0 or more."""

    def check(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError("is a number of seconds")
        if not 0 <= value <= MAX_SECONDS:
            raise ValueError(f"is {value}, and must be from 0 to {MAX_SECONDS} seconds")
        return float(value)

    return Param(name, f"seconds 0..{MAX_SECONDS}", doc, check, default=default)


def text(name: str, doc: str, *, required: bool = False, most: int = MAX_ID) -> Param:
    """Declare a string of 1 to ``most`` characters."""

    def check(value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError("is a string")
        if not 0 < len(value) <= most:
            raise ValueError(f"has from 1 to {most} characters")
        if not value.isprintable():
            # Bytes that are not UTF-8 arrive as surrogates, which are not printable.
            raise ValueError("has characters that cannot be printed")
        return value

    return Param(name, f"str 1..{most}", doc, check, required)


JOB_ID = text("id", "the job's id", required=True)


def texts(name: str, doc: str, *, count: int, most: int = MAX_ID) -> Param:
    """Declare a list of 1 to ``count`` strings, each checked as by ``text``."""
    one = text(name, doc, most=most).check

    def check(value: Any) -> list[str]:
        words = _list(value, count)
        if not words:
            raise ValueError("is an empty list")
        return _items(words, one)

    return Param(name, f"[str 1..{most}] 1..{count}", doc, check, required=True)


def path(name: str, doc: str) -> Param:
    """Declare an absolute path; bytes that are not UTF-8 become surrogates."""

    def check(value: Any) -> Path:
        return Path(unixtext.absolute_path(value))

    return Param(name, f"unix 1..{MAX_PATH}", doc, check, required=True)


def choice(
    name: str,
    doc: str,
    options: Sequence[Choice],
    *,
    required: bool = False,
    default: Choice | None = None,
) -> Param:
    """Declare one word out of ``options``."""

    def check(value: Any) -> Choice:
        return _choice(value, options)

    return Param(name, " | ".join(options), doc, check, required, default)


def choices(
    name: str, doc: str, options: Sequence[Choice], *, default: Sequence[Choice] | None
) -> Param:
    """Declare a list, not empty, of words out of ``options``."""

    def check(value: Any) -> list[Choice]:
        words = _list(value, len(options))
        if not words:
            raise ValueError("is an empty list; leave it out for the default")
        return _items(words, lambda word: _choice(word, options))

    kind = f"[{' | '.join(options)}] 1..{len(options)}"
    preset = None if default is None else tuple(default)
    return Param(name, kind, doc, check, default=preset)


def _choice(value: Any, options: Sequence[Choice]) -> Choice:
    for option in options:
        if option == value:
            return option
    raise ValueError(f"is one of: {', '.join(options)}")


def fields(name: str, doc: str, *, required: bool = False) -> Param:
    """Declare a map of a job's fields; ``core.submission_fields`` checks its content.

    A required one is a complete job, an optional one holds some fields of jobs.
    """
    return Param(name, "SUBMISSION" if required else "map", doc, _map, required)


def batch(name: str, doc: str) -> Param:
    """Declare a list of maps of jobs' fields; the handler checks its length."""

    def check(value: Any) -> list[dict[str, Any]]:
        return _items(_list(value, MAX_INT), _map)

    return Param(name, "[SUBMISSION]", doc, check, required=True)


def _map(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("is a map with strings as keys")
    return value


def _items(values: Sequence[Any], check: Callable[[Any], Item]) -> list[Item]:
    checked: list[Item] = []
    for index, value in enumerate(values):
        try:
            checked.append(check(value))
        except ValueError as error:
            raise ItemError(index, str(error)) from None
    return checked


def _list(value: Any, most: int) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("is a list")
    if len(value) > most:
        raise ValueError(f"has {len(value)} items, and the limit is {most}")
    return value


def request_id(name: str, doc: str) -> Param:
    """Declare the id of another request of the same connection."""

    def check(value: Any) -> int | str:
        if isinstance(value, str):
            return value
        try:
            return numbers.whole(value)
        except ValueError:
            raise ValueError(
                "is the id of a request: a whole number or a string"
            ) from None

    return Param(name, "int | str", doc, check, required=True)


def setting_value(name: str, doc: str) -> Param:
    """Declare a setting's value; the table of settings checks its range."""

    def check(value: Any) -> float | str:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError(
                "is a number, its written form such as 90s or 1GiB, or a path"
            )
        if isinstance(value, str) and unixtext.shown(value) != value:
            # Settings are sent as text. A job's own shell may be any bytes.
            raise ValueError("is not valid UTF-8")
        return value

    return Param(name, "number | str", doc, check, required=True)
