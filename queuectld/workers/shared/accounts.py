"""The account that a job runs as, and the variables of an account."""

import pwd
from typing import NamedTuple

from queuectl_protocol.environment import minimal


class RunAs(NamedTuple):
    """Who enqueued a job that runs as its submitter.

    Attributes:
        uid: the submitter; None: not known.
        groups: its groups when it enqueued, its gid first; None: not recorded.
        minimal: the job has no environment of its own.
    """

    uid: int | None
    groups: tuple[int, ...] | None
    minimal: bool


def environment(uid: int) -> dict[str, str]:
    """Return the minimal environment of an account; only PATH if there is none."""
    try:
        return minimal(pwd.getpwuid(uid))
    except KeyError:
        return minimal(None)
