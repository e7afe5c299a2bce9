"""Whom a job runs as: the account of its submitter, as it is now."""

from typing import NamedTuple


class RunAs(NamedTuple):
    """Whom a run is to be run as."""

    uid: int | None
    groups: tuple[int, ...] | None
    minimal: bool


class Account(NamedTuple):
    """What a process of an account has."""

    uid: int
    gid: int
    groups: tuple[int, ...]


class AccountError(Exception):
    """There is no such account any more; the message is for the job's owner."""


def resolve(who: RunAs) -> Account:
    """Return the account."""
    raise AccountError(f"not built yet: {who}")


def environment(uid: int) -> dict[str, str]:
    """Return its minimal environment."""
    raise AccountError(f"not built yet: {uid}")
