"""What is taken for a whole number, wherever one is wanted."""

from typing import Any


def whole(value: Any) -> int:
    """Return an integer; a float that stands for one is one.

    Some languages have no other numbers, and their msgpack may write 3 as 3.0.

    Raises:
        ValueError: it is neither. Its text completes "<name> ...".
    """
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("is a whole number")
    return value


def written(text: str) -> str:
    """Return a text that ``int`` and ``float`` may read.

    They take the digits of every script, and underscores between them.

    Raises:
        ValueError: it has such. Its text completes "<name> ...".
    """
    if not text.isascii() or "_" in text:
        raise ValueError("is a number in ASCII digits")
    return text
