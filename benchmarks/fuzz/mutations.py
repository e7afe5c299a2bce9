"""Good requests made worse, in their bytes or in what the bytes mean.

Chance alone seldom writes msgpack that can be read, and never a known name.
"""

import random
from typing import Any

from queuectl_protocol import packing
from queuectl_protocol.errors import BadMessageError
from queuectl_protocol.frames import HEADER, encode_frame
from queuectld.core.submission_fields import GIVEN
from queuectld.server.dispatch import METHODS

NAMES = sorted(
    {*METHODS, *GIVEN}
    | {param.name for method in METHODS.values() for param in method.params}
)
INTERESTING: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 22, 2**31, 2**63 - 1, 2**63, -(2**63), 0.0, -0.5, 1e99,
    float("nan"), float("inf"), "", "0", "0022", "777", "default", "\0", "\x1b[2J", "é",
    "\udcff", "/", "/x", "../x", "1" * 20, "x" * 200, "2026-12-01T10:00:00Z",
    "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z", "dead", b"", b"x", [], [[]],
    ["true"], ["", "x"], {}, {"A": "b"}, {"": ""}, {"A=": ""}, {"A": "\0"},
)  # fmt: skip


def worse(data: bytes, chance: random.Random) -> bytes:
    """Return a frame in which something is different."""
    try:
        value = packing.unpack(data[HEADER.size :])
    except BadMessageError:
        return in_bytes(data, chance)
    for _ in range(chance.randint(1, 3)):
        value = in_meaning(value, chance)
    frame = encode_frame(packing.pack(value))
    return in_bytes(frame, chance) if chance.random() < 0.1 else frame


def in_bytes(data: bytes, chance: random.Random) -> bytes:
    """Return the bytes with some replaced, removed or put in."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randint(0, len(changed))
        changed[at : at + chance.randint(0, 3)] = chance.randbytes(chance.randint(0, 3))
    return bytes(changed)


def in_meaning(value: Any, chance: random.Random) -> Any:
    """Return the value with one thing in it, or itself, replaced, added or removed."""
    if isinstance(value, dict) and value and chance.random() < 0.9:
        key = chance.choice(list(value))
        changed = value | {key: in_meaning(value[key], chance)}
        if chance.random() < 0.1:
            del changed[key]
        if chance.random() < 0.2:
            changed[chance.choice(NAMES)] = chance.choice(INTERESTING)
        return changed
    if isinstance(value, list) and value and chance.random() < 0.8:
        at = chance.randrange(len(value))
        return [*value[:at], in_meaning(value[at], chance), *value[at + 1 :]]
    if isinstance(value, str) and chance.random() < 0.5:
        at = chance.randint(0, len(value))
        put = chance.choice(["", "\0", "7", "x", "/", "é", ":", "-", "\udcff"])
        return value[:at] + put + value[at + chance.randint(0, 1) :]
    return chance.choice(INTERESTING + tuple(NAMES))
