"""The events of ``follow``."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from queuectl.models.model import Model


@dataclass(frozen=True, slots=True)
class AttemptStarted(Model):
    """An event of ``follow``: this run begins, and its output follows."""

    run: int


@dataclass(frozen=True, slots=True)
class Output(Model):
    """An event of ``follow``: a piece of output.

    Attributes:
        stream: stdout or stderr.
        offset: the position of ``data`` in that run's stream. Pieces follow each other
            without a gap.
    """

    run: int
    stream: str
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class OutputGone(Model):
    """An event of ``follow``: the daemon no longer has all of this stream.

    Attributes:
        stream: stdout or stderr.
        size: the bytes that the run wrote to it.
        left: the bytes that the daemon still has; None: there is no file, or, from an
            older daemon, an empty one.
    """

    run: int
    stream: str
    size: int
    left: int | None = None


FollowEvent = AttemptStarted | Output | OutputGone


def follow_event(body: Mapping[str, Any]) -> FollowEvent | None:
    """Return an event of ``follow``, or None if this version does not know its type."""
    match body.get("type"):
        case "attempt":
            return AttemptStarted.from_wire(body)
        case "data":
            return Output.from_wire(body)
        case "gone":
            return OutputGone.from_wire(body)
    return None
