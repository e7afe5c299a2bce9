"""Waiting for what will be true, with a deadline, where nothing can be waited on."""

import select
import time
from collections.abc import Callable
from typing import TypeVar

DEADLINE = 20.0
"""Seconds: generous, because the machine may be busy with something else."""

_STEP_MS = 5

T = TypeVar("T")


def until(predicate: Callable[[], T], what: str, within: float = DEADLINE) -> T:
    """Return the first true value of ``predicate``.

    Raises:
        AssertionError: it was not true in time; names ``what``.
    """
    deadline = time.monotonic() + within
    while not (value := predicate()):
        assert time.monotonic() < deadline, f"not in {within:g}s: {what}"
        select.poll().poll(_STEP_MS)
    return value
