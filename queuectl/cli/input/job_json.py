"""Reads jobs as people write them: JSON objects, command lines, words. Pure."""

from __future__ import annotations

from codecs import BOM_UTF8
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from json import JSONDecoder

MAX_DEPTH = 4
"""Levels of lists and maps in a job; its fields have at most two."""

_CONTAINERS = (dict, list)

_INT64 = range(-(2**63), 2**64)
"""Whole numbers that msgpack can carry."""


def parse_json(text: str | bytes) -> dict[str, Any]:
    """Return the JSON object in ``text``.

    Raises:
        ValueError: it is not a JSON object, or the protocol cannot carry it.
    """
    import json  # noqa: PLC0415 - most commands are no JSON

    try:
        if isinstance(text, bytes):
            text = text.removeprefix(BOM_UTF8).decode("utf-8", "surrogatepass")
        job = _decoder().decode(text)
    except json.JSONDecodeError as error:
        place = f"character {error.pos + 1}"
        raise ValueError(f"bad JSON: {error.msg} ({place})") from None
    except UnicodeDecodeError:
        raise ValueError("bad JSON: not UTF-8") from None
    except RecursionError:
        raise ValueError("bad JSON: nested too deeply") from None
    if not isinstance(job, dict):
        raise ValueError("bad JSON: not an object, as in {...}")
    _check_depth(job, MAX_DEPTH)
    if not text.isascii() or "\\u" in text:
        _check_text(job)
    return job


@cache
def _decoder() -> JSONDecoder:
    """Return the decoder; it is made once, as a file may have a million lines."""
    from json import JSONDecoder  # noqa: PLC0415 - as above

    return JSONDecoder(parse_int=_integer, parse_constant=_refuse)


def command(arguments: tuple[str, ...]) -> dict[str, Any]:
    """Return the job that the words on the command line mean.

    One word is a shell command line, or a job in JSON when it begins with ``{``;
    several are an exact argument vector.
    """
    if len(arguments) > 1:
        return {"command": list(arguments)}
    (line,) = arguments
    return parse_json(line) if line.startswith("{") else {"command": line}


def _integer(digits: str) -> int:
    # int() of a very long string is slow, and refused by Python from 4,300 digits on.
    value = int(digits) if len(digits) <= 20 else _INT64.stop
    if value not in _INT64:
        raise ValueError(f"bad JSON: {digits[:20]}... is too large a number")
    return value


def _refuse(constant: str) -> None:
    raise ValueError(f"bad JSON: {constant} is no number")


def _check_depth(value: dict[str, Any] | list[Any], left: int) -> None:
    if not left:
        raise ValueError("bad JSON: nested too deeply")
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, _CONTAINERS):
            _check_depth(inner, left - 1)


def _check_text(value: Any) -> None:
    """Refuse lone surrogates, except those that stand for bytes (PEP 383)."""
    if isinstance(value, str):
        try:
            value.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError as error:
            half = ascii(value[error.start])
            raise ValueError(
                f"bad JSON: {half} is half a character, and no text"
            ) from None
    elif isinstance(value, dict):
        for key, inner in value.items():
            _check_text(key)
            _check_text(inner)
    elif isinstance(value, list):
        for inner in value:
            _check_text(inner)
