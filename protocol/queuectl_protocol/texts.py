"""Text that may hold bytes that are not UTF-8, as messages for people show it.

Inside a program such bytes are surrogate escapes (PEP 383).
"""

import re

_ESCAPED = r"\\\\|\\udc([89a-f][0-9a-f])"
"""In what ``repr`` returns: a backslash, so that none is taken for the beginning of an
escape; and a byte that is not UTF-8."""


def shown(text: str) -> str:
    r"""Return a text for people: UTF-8, with bytes that are none as ``\xff``."""
    if text.isascii():
        return text
    try:
        raw = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        # A surrogate that stands for no byte.
        raw = text.encode("utf-8", "backslashreplace")
    return raw.decode("utf-8", "backslashreplace")


def quoted(text: str) -> str:
    r"""Return a word in quotes for people; bytes that are not UTF-8 are ``\xff``."""
    return re.sub(
        _ESCAPED, lambda found: f"\\x{found[1]}" if found[1] else found[0], repr(text)
    )
