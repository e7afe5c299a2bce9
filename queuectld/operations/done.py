"""What every operation returns."""

from collections.abc import Sequence
from typing import TypeVar

from queuectld.core.event import Announcement

T = TypeVar("T")

Done = tuple[T, Sequence[Announcement] | None]
"""What an operation did, which counts from the commit on: the result, for whoever asked
for the operation, and what everybody else is told, in the order in which it happened.
None in its place: the operation changed nothing.
"""
