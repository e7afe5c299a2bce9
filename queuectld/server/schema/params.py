"""What a method takes, as data, and the one check of what came against it.

A handler gets every parameter it declares, checked and with defaults filled in, and
never one it does not. What a value means is the handler's affair.
"""

import difflib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from queuectl_protocol.limits import MAX_ID, MAX_PATH
from queuectld.core import numbers, unixtext
from queuectld.server.schema import json_schema

Choice = TypeVar("Choice", bound=StrEnum)
Item = TypeVar("Item")

MAX_SECONDS = 100 * 366 * 86_400
"""A century: so that milliseconds and deadlines stay in range everywhere."""

_MAX_INT = json_schema.MAX_INT
_SHOWN = 64
"""Characters of a stranger's word that an error message repeats."""


class InvalidParamsError(Exception):
    """A parameter is unknown, missing, of the wrong type or out of range.

    Attributes:
        param: its name, as it came.
        index: in a list, which item, from 0.
    """

    def __init__(self, param: str, message: str, index: int | None = None) -> None:
        super().__init__(message)
        self.param = param
        self.index = index

    @property
    def data(self) -> dict[str, Any]:
        """The parameter's name, and the place of what is wrong in it."""
        place = {} if self.index is None else {"index": self.index}
        return {"param": self.param[:_SHOWN], **place}


class ItemError(ValueError):
    """An item of a list is wrong; the text completes "<name>, item <index>, ..."."""

    def __init__(self, index: int, message: str) -> None:
        super().__init__(message)
        self.index = index


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter of a method.

    Attributes:
        type: range included, in the notation of ``shapes``: for people, and for the
            schema in ``describe``.
        doc: a phrase that says what it is, and what its absence means.
        check: returns the value as the handler wants it, or raises a ValueError whose
            text completes "<name> ...".
        required: whether it must be there; null counts as absent.
        default: what the handler gets when it is absent.
    """

    name: str
    type: str
    doc: str
    check: Callable[[Any], Any]
    required: bool = False
    default: Any = None


def checked(declared: Sequence[Param], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a value for every declared parameter.

    Raises:
        InvalidParamsError: names the first parameter that is wrong.
    """
    values: dict[str, Any] = {}
    present = 0
    for param in declared:
        value = given.get(param.name)
        present += param.name in given
        if value is not None:
            values[param.name] = _value(param, value)
        elif param.required:
            raise InvalidParamsError(
                param.name, f"{param.name} is missing: {param.doc}"
            )
        else:
            values[param.name] = param.default
    if present != len(given):
        raise _unknown(declared, given)
    return values


def _value(param: Param, value: Any) -> Any:
    try:
        return param.check(value)
    except ItemError as error:
        text = f"{param.name}, item {error.index} from 0, {error}"
        raise InvalidParamsError(param.name, text, error.index) from None
    except ValueError as error:
        raise InvalidParamsError(param.name, f"{param.name} {error}") from None


def _unknown(declared: Sequence[Param], given: Mapping[str, Any]) -> InvalidParamsError:
    known = [param.name for param in declared]
    name = next(name for name in given if name not in known)
    advice = nearest(name, known) or (
        f"it takes: {', '.join(known)}" if known else "it takes none"
    )
    return InvalidParamsError(name, f"there is no parameter {shown(name)}; {advice}")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return a question about the known name most like ``name``, if one is."""
    close = difflib.get_close_matches(name[:_SHOWN], known, n=1)
    return f"did you mean {close[0]}?" if close else None


def shown(text: str) -> str:
    """Return a stranger's word in quotes, and no more of it than a message bears."""
    return unixtext.quoted(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")


def flag(name: str, doc: str, *, default: bool = False) -> Param:
    """Declare a boolean."""

    def check(value: Any) -> bool:
        if not isinstance(value, bool):
            raise ValueError("is true or false")
        return value

    return Param(name, "bool", doc, check, default=default)


def either(name: str, doc: str) -> Param:
    """Declare a boolean that is neither when it is absent."""
    return Param(name, "bool", doc, flag(name, doc).check)


def whole(
    name: str,
    doc: str,
    *,
    minimum: int = 0,
    maximum: int = _MAX_INT,
    default: int | None = None,
    required: bool = False,
) -> Param:
    """Declare a whole number in a range, both ends in it."""

    def check(value: Any) -> int:
        return _whole(value, minimum, maximum)

    bounds = f"{minimum}.." if maximum == _MAX_INT else f"{minimum}..{maximum}"
    return Param(name, f"int {bounds}", doc, check, required, default)


def _whole(value: Any, minimum: int, maximum: int) -> int:
    whole = numbers.whole(value)
    if not minimum <= whole <= maximum:
        raise ValueError(f"is {value}, and must be from {minimum} to {maximum}")
    return whole


def wholes(name: str, doc: str, *, most: int = 1000) -> Param:
    """Declare a list of whole numbers from 0 on."""

    def check(value: Any) -> list[int]:
        return _items(_list(value, most), lambda item: _whole(item, 0, _MAX_INT))

    return Param(name, f"[int 0..] 0..{most}", doc, check)


def seconds(name: str, doc: str, *, default: float | None = None) -> Param:
    """Declare a duration, in seconds, from 0 on."""

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
            # Bytes that are not UTF-8 are among these: they come as surrogates.
            raise ValueError("has characters that cannot be printed")
        return value

    return Param(name, f"str 1..{most}", doc, check, required)


def texts(name: str, doc: str, *, count: int, most: int = MAX_ID) -> Param:
    """Declare a list of 1 to ``count`` strings, each as ``text`` takes it."""
    one = text(name, doc, most=most).check

    def check(value: Any) -> list[str]:
        words = _list(value, count)
        if not words:
            raise ValueError("is an empty list")
        return _items(words, one)

    return Param(name, f"[str 1..{most}] 1..{count}", doc, check, required=True)


def path(name: str, doc: str) -> Param:
    """Declare an absolute path. What is not UTF-8 in it comes as surrogates."""

    def check(value: Any) -> Path:
        text = unixtext.read(value)
        if text is None or not text.startswith("/"):
            raise ValueError("is an absolute path")
        if "\0" in text or len(os.fsencode(text)) > MAX_PATH:
            raise ValueError(f"has no NUL and at most {MAX_PATH} bytes")
        return Path(text)

    return Param(name, f"unix 1..{MAX_PATH}", doc, check, required=True)


def choice(
    name: str,
    doc: str,
    options: Sequence[Choice],
    *,
    required: bool = False,
    default: Choice | None = None,
) -> Param:
    """Declare one of some words."""

    def check(value: Any) -> Choice:
        return _choice(value, options)

    return Param(name, " | ".join(options), doc, check, required, default)


def choices(
    name: str, doc: str, options: Sequence[Choice], *, default: Sequence[Choice] | None
) -> Param:
    """Declare a list of some words, not empty."""

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
    """Declare a map of a job's fields; what is in it is checked where jobs are.

    One that is required is a whole job, else it is some fields of jobs.
    """
    return Param(name, "SUBMISSION" if required else "map", doc, _map, required)


def batch(name: str, doc: str) -> Param:
    """Declare a list of maps of jobs' fields; its length is the handler's affair."""

    def check(value: Any) -> list[dict[str, Any]]:
        return _items(_list(value, _MAX_INT), _map)

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
    """Declare a setting's value: its own table checks the range."""

    def check(value: Any) -> float | str:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError(
                "is a number, its written form such as 90s or 1GiB, or a path"
            )
        if isinstance(value, str) and unixtext.shown(value) != value:
            # Settings are told as text. A job's own shell may be any bytes.
            raise ValueError("is not valid UTF-8")
        return value

    return Param(name, "number | str", doc, check, required=True)
