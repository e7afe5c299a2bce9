"""Strings of Unix as they come off the wire: text, or the bytes themselves.

Inside the daemon they are text, with what is not UTF-8 as surrogate escapes (PEP 383).
"""

from typing import Any

from queuectl_protocol.texts import quoted, shown

__all__ = ["quoted", "read", "shown"]


def read(value: Any) -> str | None:
    """Return the text of a msgpack str or bin; None if it is neither."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return value if isinstance(value, str) else None
