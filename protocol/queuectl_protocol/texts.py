"""Shows text to people that may hold bytes that are not UTF-8.

In Python strings such bytes are surrogate escapes (PEP 383).
"""

import re

_ESCAPED = r"\\\\|\\udc([89a-f][0-9a-f])"
"""Matches, in the result of ``repr``, a byte that is not UTF-8; and an escaped
backslash, so that what follows it is not taken for such a byte."""


def shown(text: str) -> str:
    r"""Return a text for people; bytes that are not UTF-8 appear as ``\xff``."""
    if text.isascii():
        return text
    try:
        raw = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        # It holds a surrogate that stands for no byte.
        raw = text.encode("utf-8", "backslashreplace")
    return raw.decode("utf-8", "backslashreplace")


def quoted(text: str) -> str:
    r"""Return a word in quotes; bytes that are not UTF-8 appear as ``\xff``."""
    return re.sub(
        _ESCAPED, lambda found: f"\\x{found[1]}" if found[1] else found[0], repr(text)
    )
