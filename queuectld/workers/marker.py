"""The mark that every process of a job is born with, so that it can be found."""

NAME = "QUEUECTL_LEASE"
"""The environment variable that holds it."""


def value(store: str, lease: int) -> str:
    """Return what the variable says in a run: no two runs ever share it."""
    return f"{store}:{lease}"


def variable(store: str, lease: int) -> str:
    """Return the mark as it stands in an environment."""
    return f"{NAME}={value(store, lease)}"
