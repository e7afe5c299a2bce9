"""Resource limits as people write and read them: ``nofile=1024``, ``core=infinity``."""

from collections.abc import Mapping

from queuectl_protocol import units
from queuectl_protocol.rlimits import INFINITY, MAX_RLIMIT, RLIMITS

INFINITE = "infinity"


def parse(text: str) -> tuple[str, int]:
    """Return the name and the value of ``NAME=VALUE``.

    Bytes are written as sizes are, seconds as durations.

    Raises:
        ValueError: it is something else; says what there is.
    """
    name, equals, value = text.partition("=")
    if name not in RLIMITS:
        known = ", ".join(RLIMITS)
        raise ValueError(f"there is no resource limit {name!r}; there are: {known}")
    if not equals:
        raise ValueError(f"{name} has no value; write {name}={_example(name)}")
    return name, INFINITY if value == INFINITE else _number(name, value)


def readable(limits: Mapping[str, int]) -> str:
    """Return resource limits in words: ``core 0 B, nofile 1024``."""
    return ", ".join(f"{name} {_readable(name, limits[name])}" for name in limits)


def _number(name: str, text: str) -> int:
    match _unit(name):
        case "bytes":
            value = units.parse_size(text)
        case "seconds":
            value = round(units.parse_duration(text))
        case _:
            value = _count(name, text)
    if value > MAX_RLIMIT:
        raise ValueError(f"{name}={text} is too much; write {name}={INFINITE}")
    return value


def _count(name: str, text: str) -> int:
    # int() takes a sign, spaces and underscores, and is slow for very long ones.
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise ValueError(f"{name} is a whole number or {INFINITE}, not {text!r}")
    return int(text)


def _readable(name: str, value: int) -> str:
    if value == INFINITY:
        return INFINITE
    match _unit(name):
        case "bytes":
            return units.format_size(value)
        case "seconds":
            return units.format_duration(value)
    return str(value)


def _unit(name: str) -> str:
    """Return the first word of what is counted; a newer daemon may tell others."""
    return RLIMITS.get(name, "").partition(" ")[0]


def _example(name: str) -> str:
    return {"bytes": "1GiB", "seconds": "10m"}.get(_unit(name), "1024")
