"""Strings of Unix as they come off the wire: text, or the bytes themselves.

Inside the daemon they are text, with what is not UTF-8 as surrogate escapes (PEP 383).
"""

from typing import Any

from queuectl_protocol.limits import MAX_PATH
from queuectl_protocol.texts import quoted, shown

__all__ = ["absolute_path", "quoted", "read", "shown"]


def read(value: Any) -> str | None:
    """Return the text of a msgpack str or bin; None if it is neither."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return value if isinstance(value, str) else None


def absolute_path(value: Any) -> str:
    """Return the text of an absolute path that the kernel can take.

    Raises:
        ValueError: it is none; the text completes "<name> ...".
    """
    text = read(value)
    if text is None or not text.startswith("/"):
        raise ValueError("is an absolute path")
    if "\0" in text:
        raise ValueError("holds a NUL character")
    size = len(text.encode("utf-8", "surrogateescape"))
    if size > MAX_PATH:
        raise ValueError(f"has {size} bytes, and the limit is {MAX_PATH}")
    return text
