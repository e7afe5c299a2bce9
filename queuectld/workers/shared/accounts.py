"""Whom a job runs as: the account of its submitter, as it is now.

Called in workers: a directory server may take its time over an account, and there it
holds up one job and not the daemon.
"""

import os
import pwd
from functools import cache
from typing import NamedTuple

from queuectl_protocol.environment import minimal


class RunAs(NamedTuple):
    """Whom a run is to be run as.

    Attributes:
        uid: the submitter; None: not known.
        groups: what it was in when it enqueued, its gid first; None: not recorded.
        minimal: the job has no environment of its own.
    """

    uid: int | None
    groups: tuple[int, ...] | None
    minimal: bool


class Account(NamedTuple):
    """What a process of an account has.

    Attributes:
        groups: the supplementary ones.
    """

    uid: int
    gid: int
    groups: tuple[int, ...]


class AccountError(Exception):
    """There is nobody to run as; the message is for the job's owner."""


def resolve(who: RunAs) -> Account:
    """Return the account of a submitter, with no more than it had and still has.

    Its groups are those recorded at enqueue that the account is in now. What somebody
    gave up before enqueueing, or was taken from the account since, is not given back,
    and what a setgid program lent is not the account's. The gid is the recorded one if
    the account is in that group, or else the primary one.

    Raises:
        AccountError: there is no such account.
    """
    entry = _entry(who.uid)
    present = frozenset(os.getgrouplist(entry.pw_name, entry.pw_gid))
    gid, *others = who.groups or (entry.pw_gid,)
    return Account(
        uid=entry.pw_uid,
        gid=gid if gid in present else entry.pw_gid,
        groups=tuple(group for group in others if group in present),
    )


@cache
def own_environment() -> dict[str, str]:
    """Return the minimal environment of the daemon's own account."""
    return environment(os.geteuid())


def environment(uid: int) -> dict[str, str]:
    """Return the minimal environment of an account; of one that is not there, PATH."""
    try:
        return minimal(pwd.getpwuid(uid))
    except KeyError:
        return minimal(None)


def _entry(uid: int | None) -> pwd.struct_passwd:
    if uid is None:
        raise AccountError(
            "nobody knows who enqueued this job, so there is nobody to run it as; "
            "enqueue it again"
        )
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        raise AccountError(
            f"the submitter, uid {uid}, has no account on this machine: it was "
            "removed, or the directory of accounts does not answer; once there is one, "
            "queuectl retry runs the job"
        ) from None
