"""What every model has in common: it is built from its map on the wire."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Self

from queuectl_protocol.vocabulary import JobState, Reason


def read(function: Callable[[Any], Any]) -> MappingProxyType[str, Any]:
    """Return the metadata of a field whose value on the wire needs ``function``."""
    return MappingProxyType({"read": function})


def _word(words: type[StrEnum]) -> Callable[[str], str]:
    known = {word.value: word for word in words}
    return lambda value: known.get(value, value)


STATE = read(_word(JobState))
REASON = read(_word(Reason))
TIME = read(datetime.fromisoformat)


@dataclass(frozen=True, slots=True)
class Model:
    """A map that the daemon sends, as a typed value."""

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Self:
        """Return the value of a map on the wire.

        Raises:
            TypeError: a key is missing, or holds something of another type.
            ValueError: a point in time is malformed.
        """
        values = {}
        for item in fields(cls):
            if item.name in wire:
                value, convert = wire[item.name], item.metadata.get("read")
                values[item.name] = (
                    convert(value) if value is not None and convert else value
                )
        return cls(**values)
