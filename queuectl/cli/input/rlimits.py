"""Resource limits as people write them: ``nofile=1024``, ``core=infinity``."""

from queuectl_protocol import units
from queuectl_protocol.rlimits import INFINITY, MAX_RLIMIT, RLIMITS


def parse(text: str) -> tuple[str, int]:
    """Return the name and the value of ``NAME=VALUE``.

    Bytes are written as sizes are, seconds as durations.

    Raises:
        ValueError: it is something else; the message says what there is.
    """
    name, equals, value = text.partition("=")
    if name not in RLIMITS:
        known = ", ".join(RLIMITS)
        raise ValueError(f"there is no resource limit {name!r}; there are: {known}")
    unit = RLIMITS[name].partition(" ")[0]
    if not equals:
        example = {"bytes": "1GiB", "seconds": "10m"}.get(unit, "1024")
        raise ValueError(f"{name} has no value; write {name}={example}")
    return name, INFINITY if value == "infinity" else _number(name, unit, value)


def _number(name: str, unit: str, text: str) -> int:
    match unit:
        case "bytes":
            value = units.parse_size(text)
        case "seconds":
            value = round(units.parse_duration(text))
        case _:
            value = _count(name, text)
    if value > MAX_RLIMIT:
        raise ValueError(f"{name}={text} is too much; write {name}=infinity")
    return value


def _count(name: str, text: str) -> int:
    # int() takes a sign, spaces and underscores, and is slow for very long texts.
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise ValueError(f"{name} is a whole number or infinity, not {text!r}")
    return int(text)
