"""Text as a terminal shows it: escaped, measured and cut. Pure.

Labels, commands and messages are other people's text. ``escape`` makes their control
characters visible before they reach a terminal.
"""

import re

ELLIPSIS = "…"

SGR = {"bold": 1, "dim": 2, "red": 31, "green": 32, "yellow": 33, "cyan": 36}
"""Styles by name: the numbers of Select Graphic Rendition (ECMA-48)."""

_COLOUR = r"\x1b\[[0-9;:]*m"

_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def escape(text: str) -> str:
    r"""Return ``text`` with everything that does not print as ``\x1b`` or ``\u202e``.

    That is control characters (C0, DEL, C1), characters that change the direction or
    are invisible, line separators, and bytes that are not UTF-8 (surrogate escapes,
    shown as the byte they were).
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escape_one(c) for c in text)


def _escape_one(character: str) -> str:
    if named := _NAMED.get(character):
        return named
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # PEP 383: a byte that is not UTF-8
        code -= 0xDC00
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def counted(number: int, noun: str) -> str:
    """Return ``1 job`` or ``2 jobs``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def brief(message: str) -> str:
    """Return a message with very long words cut.

    Messages repeat what was typed, which may be a megabyte.
    """
    return re.sub(r"(\S{150})\S{150,}", rf"\1{ELLIPSIS}", message)


def plain(line: str) -> str:
    """Return a line of a program's output as it looks at the end, without colours.

    Of a line that was drawn repeatedly, as progress bars are, the last drawing is
    left; tabs become spaces. Other control characters are left for ``escape``.
    """
    last = line.rstrip("\r").rpartition("\r")[2]
    return re.sub(_COLOUR, "", last).expandtabs()


def width(text: str) -> int:
    """Return the columns that escaped text takes: wide characters take two."""
    if text.isascii():
        return len(text)
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    from unicodedata import (  # noqa: PLC0415 - most text is ASCII
        combining,
        east_asian_width,
    )

    if combining(character):
        return 0
    return 2 if east_asian_width(character) in {"W", "F"} else 1


def cut(text: str, most: int) -> str:
    """Return ``text`` in at most ``most`` columns, its end an ellipsis if cut."""
    if width(text) <= most:
        return text
    kept: list[str] = []
    room = most - 1
    for character in text:
        room -= _columns(character)
        if room < 0:
            break
        kept.append(character)
    return "".join(kept) + ELLIPSIS if most > 0 else ""


def styled(text: str, style: str | None) -> str:
    """Return ``text`` in the colour or weight that ``style`` names in ``SGR``."""
    return f"\x1b[{SGR[style]}m{text}\x1b[0m" if style and text else text
