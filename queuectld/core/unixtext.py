"""Strings of Unix as they come off the wire: text, or the bytes themselves.

Inside the daemon they are text, with what is not UTF-8 as surrogate escapes (PEP 383).
"""

from typing import Any


def read(value: Any) -> str | None:
    """Return the text of a msgpack str or bin; None if it is neither."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return value if isinstance(value, str) else None


def shown(text: str) -> str:
    r"""Return a text for people: UTF-8, with bytes that are none as ``\xff``."""
    if text.isascii():
        return text
    raw = text.encode("utf-8", "surrogateescape")
    return raw.decode("utf-8", "backslashreplace")
