"""Values of a job's fields as they come off the wire, each checked and converted.

Each function takes what a client sent, and returns what a ``Submission`` has of it.

Raises:
    ValueError: the value is refused. The text completes "<field> ...".
"""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from queuectl_protocol.limits import (
    MAX_ARGV,
    MAX_COMMAND,
    MAX_ENV,
    MAX_ID,
    MAX_LABEL,
    MAX_PATH,
)
from queuectl_protocol.rlimits import INFINITY, MAX_RLIMIT, RLIMITS
from queuectl_protocol.units import parse_time
from queuectld.core import numbers, settings, unixtext
from queuectld.core.job import Command

PRIORITY_RANGE = 1_000_000
"""Priorities go from minus this to plus this."""

MAX_DELAY = 126_701_150_399
"""Seconds: half of the time until 9999-12-31T23:59:59Z, the last that RFC 3339 can
write."""

BLANK = " \t\n"
"""What separates words in a shell. A line of nothing else is no command."""

_UMASK = re.compile("[0-7]{1,4}")
_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:@+-]*")

_KINDS: Mapping[type, str] = MappingProxyType(
    {
        type(None): "null",
        bool: "a boolean",
        int: "a number",
        float: "a number",
        str: "a string",
        bytes: "binary",
        list: "a list",
        dict: "a map",
    }
)


def _unix(value: Any, *, most: int, empty: bool = False) -> str:
    """Return a string of Unix: bin will do as well as str."""
    text = unixtext.read(value)
    return _text(value if text is None else text, most=most, empty=empty)


def _text(value: Any, *, most: int, empty: bool = False) -> str:
    if not isinstance(value, str):
        raise ValueError(f"is a string, not {_kind(value)}")
    if not value and not empty:
        raise ValueError("is empty")
    if "\0" in value:
        raise ValueError("holds a NUL character")
    size = byte_size(value)
    if size > most:
        raise ValueError(f"has {size} bytes, and the limit is {most}")
    return value


def byte_size(text: str) -> int:
    """Return how many bytes a text has on Unix."""
    if text.isascii():
        return len(text)
    return len(text.encode("utf-8", "surrogateescape"))


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), "a timestamp")


def _utf8(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("is not valid UTF-8") from None
    return value


def command(value: Any) -> Command:
    """Return a command line, or a tuple of words."""
    if isinstance(value, str | bytes):
        line = _unix(value, most=MAX_COMMAND)
        if not line.strip(BLANK):
            raise ValueError("is empty")
        return line
    if not isinstance(value, list):
        raise ValueError(
            f"is a string (a shell command line) or a list of words, not {_kind(value)}"
        )
    if not value:
        raise ValueError("is an empty list")
    if len(value) > MAX_ARGV:
        raise ValueError(f"has {len(value)} words, and the limit is {MAX_ARGV} bytes")
    words = tuple(_unix(word, most=MAX_COMMAND, empty=True) for word in value)
    if not words[0]:
        raise ValueError("begins with an empty word where the program's name belongs")
    program = byte_size(words[0])
    if program > MAX_PATH:
        raise ValueError(
            f"begins with a word of {program} bytes, and a program's path has "
            f"at most {MAX_PATH}"
        )
    size = sum(map(byte_size, words)) + len(words)
    if size > MAX_ARGV:
        raise ValueError(f"has {size} bytes in all, and the limit is {MAX_ARGV}")
    return words


def identifier(value: Any) -> str:
    """Return an id that a submitter may give."""
    text = _text(value, most=MAX_ID)
    if text.isdigit():
        raise ValueError("of digits alone is reserved for generated ids")
    if not _ID.fullmatch(text):
        raise ValueError("has letters, digits and _.:@+- only, and none of .:@+- first")
    return text


def queue(value: Any) -> str:
    """Return the name of a queue."""
    if _text(value, most=MAX_ID) != "default":
        raise ValueError("is 'default', the only queue there is")
    return "default"


def priority(value: Any) -> int:
    """Return a priority."""
    priority = numbers.whole(value)
    if abs(priority) > PRIORITY_RANGE:
        raise ValueError(f"is from -{PRIORITY_RANGE} to {PRIORITY_RANGE}")
    return priority


def time(value: Any) -> int:
    """Return milliseconds since 1970, from RFC 3339."""
    if not isinstance(value, str):
        raise ValueError("is an RFC 3339 time such as 2026-12-01T10:00:00Z")
    return parse_time(value)


def delay(value: Any) -> float:
    """Return seconds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("is a number of seconds")
    if not 0 <= value <= MAX_DELAY:
        raise ValueError(f"is a number of seconds from 0 on, to {MAX_DELAY}")
    return float(value)


def flag(value: Any) -> bool:
    """Return a boolean; nothing else counts as one."""
    if not isinstance(value, bool):
        raise ValueError(f"is true or false, not {_kind(value)}")
    return value


def umask(value: Any) -> int:
    """Return a umask, from its octal form."""
    # A number is refused: nobody could tell whether 22 was meant in octal.
    if not isinstance(value, str) or not _UMASK.fullmatch(value):
        raise ValueError('is an octal string from "0000" to "0777"')
    mask = int(value, 8)
    if mask > 0o777:
        raise ValueError('is an octal string from "0000" to "0777"')
    return mask


def environment(value: Any) -> dict[str, str]:
    """Return the variables of an environment."""
    if not isinstance(value, dict):
        raise ValueError(f"is a map of strings, not {_kind(value)}")
    if _is_plain(value):
        return value.copy()
    variables: dict[str, str] = {}
    size = 0
    for given_name, given in value.items():
        name, content = unixtext.read(given_name), unixtext.read(given)
        if name is None or content is None:
            raise ValueError("is a map of strings")
        if name in variables:
            raise ValueError(f"has {name:.64} twice, as str and as bin")
        size += _variable(name, content) + len("\0")
        variables[name] = content
    if size > MAX_ENV:
        raise ValueError(f"has {size} bytes, and the limit is {MAX_ENV}")
    return variables


def _is_plain(value: dict[Any, Any]) -> bool:
    """Tell whether one look at the whole shows that this is an environment.

    That is so for most jobs. Of others each variable is looked at, if only to tell
    which one is wrong.
    """
    try:
        names, contents = "\0".join(value), "\0".join(value.values())
        size = byte_size(names) + len("=") + byte_size(contents) + len("\0")
    except (TypeError, UnicodeEncodeError):
        return False
    between = max(len(value) - 1, 0)
    return (
        size <= MAX_COMMAND  # all together: so each is
        and names.count("\0") == contents.count("\0") == between
        and "=" not in names
        and "" not in value
    )


def _variable(name: str, content: str) -> int:
    """Return the size of ``NAME=value`` if that can be a variable.

    The value may be a secret: it is never quoted.
    """
    if not name or "=" in name or "\0" in name:
        raise ValueError("has a name that is empty or holds = or NUL")
    if "\0" in content:
        raise ValueError(f"holds a NUL character in {name:.64}")
    size = byte_size(name) + len("=") + byte_size(content)
    if size > MAX_COMMAND:
        raise ValueError(
            f"has a variable that no program can get: {name:.64} is of {size} bytes "
            f"with its name, and the limit is {MAX_COMMAND}; hand it over in a file"
        )
    return size


def label(value: Any) -> str:
    """Return a text for people."""
    return _utf8(_text(value, most=MAX_LABEL, empty=True))


def rlimits(value: Any) -> tuple[tuple[str, int], ...]:
    """Return resource limits by name, in the order of their names."""
    if not isinstance(value, dict):
        raise ValueError(f"is a map of names and whole numbers, not {_kind(value)}")
    # In one order, so that two that say the same are equal.
    return tuple(sorted((_rlimit(name), _bound(name, value[name])) for name in value))


def _rlimit(name: object) -> str:
    if not isinstance(name, str):
        raise ValueError("has names that are strings")
    if name not in RLIMITS:
        raise ValueError(
            f"has no {unixtext.quoted(name[:64])}; there are: {', '.join(RLIMITS)}"
        )
    return name


def _bound(name: str, value: Any) -> int:
    try:
        bound = numbers.whole(value)
    except ValueError:
        raise ValueError(f"has a {name} that is not a whole number") from None
    if not INFINITY <= bound <= MAX_RLIMIT:
        raise ValueError(
            f"has {bound} for {name}, and it must be from 0 to {MAX_RLIMIT}, or "
            f"{INFINITY} for infinity"
        )
    return bound


def of_setting(key: str) -> Callable[[Any], Any]:
    """Return what checks a field that is a setting too: the range is the setting's."""

    def check(value: Any) -> Any:
        # "5m" is for people: on the wire a quantity has one form.
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"is a number, not {_kind(value)}")
        return settings.SETTINGS[key].check(value)

    return check
