"""The marker in the environment of every process of a job, by which it is found."""

from queuectl_protocol.paths import IN_JOB
from queuectld.linux import procfs

_DIGITS = 20  # a lease fits into 64 bits

NAME = IN_JOB
"""The environment variable that holds it."""


def value(store: str, lease: int) -> str:
    """Return the value of the variable in an attempt: no two attempts share it."""
    return f"{store}:{lease}"


def variable(store: str, lease: int) -> str:
    """Return the marker as an environment holds it."""
    return f"{NAME}={value(store, lease)}"


def leases(store: str) -> set[int]:
    """Return the leases of a store that processes on this machine have."""
    found = (procfs.variable(pid, NAME) or "" for pid in procfs.scan())
    markers = (each.rpartition(":") for each in found)
    return {int(lease) for of, _, lease in markers if of == store and _is_lease(lease)}


def _is_lease(text: str) -> bool:
    # A job can put anything there, and int() refuses a number of 5,000 digits.
    return text.isascii() and text.isdecimal() and len(text) < _DIGITS
