"""The mark that every process of a job is born with, so that it can be found."""

from queuectl_protocol.paths import IN_JOB
from queuectld.linux import procfs

_DIGITS = 20  # a lease fits into 64 bits

NAME = IN_JOB
"""The environment variable that holds it."""


def value(store: str, lease: int) -> str:
    """Return what the variable says in a run: no two runs ever share it."""
    return f"{store}:{lease}"


def variable(store: str, lease: int) -> str:
    """Return the mark as it stands in an environment."""
    return f"{NAME}={value(store, lease)}"


def leases(store: str) -> set[int]:
    """Return the leases of a store of which there are processes, of whatever life."""
    found = (procfs.variable(pid, NAME) or "" for pid in procfs.scan())
    marks = (mark.rpartition(":") for mark in found)
    return {int(n) for of, _, n in marks if of == store and _is_lease(n)}


def _is_lease(text: str) -> bool:
    # Anybody can write anything there: of a thousand digits int() makes an error.
    return text.isascii() and text.isdecimal() and len(text) < _DIGITS
