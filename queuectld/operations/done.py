"""What every operation returns."""

from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

from queuectld.core.event import Announcement

T = TypeVar("T")


class Done(NamedTuple, Generic[T]):
    """What an operation did; it counts from the commit on.

    Attributes:
        result: what whoever asked for the operation is told.
        announcements: what everybody else is told, in the order in which it happened.
    """

    result: T
    announcements: Sequence[Announcement] = ()
