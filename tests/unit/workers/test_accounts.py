"""The account that a job runs as: what was recorded, and what the account has now."""

import os
import pwd
from collections.abc import Iterable

import pytest

from queuectl_protocol.environment import PATH
from queuectld.workers.shared import accounts
from queuectld.workers.shared.accounts import RunAs
from queuectld.workers.worker_side import confine
from queuectld.workers.worker_side.fork_exec import Account
from queuectld.workers.worker_side.spawn import SpawnError

UID, PRIMARY, STAFF, AUDIO, LENT = 1000, 1001, 50, 29, 8


@pytest.fixture(autouse=True)
def _alice(monkeypatch: pytest.MonkeyPatch) -> None:
    """One account, in two groups besides its own."""
    entry = pwd.struct_passwd(("alice", "x", UID, PRIMARY, "", "/home/alice", ""))
    found = {UID: entry}
    monkeypatch.setattr(pwd, "getpwuid", found.__getitem__)
    groups = {("alice", PRIMARY): [PRIMARY, STAFF, AUDIO]}
    monkeypatch.setattr(os, "getgrouplist", lambda *asked: groups[asked])


def resolve(*groups: int) -> tuple[int, Iterable[int]]:
    found = confine.account_of(RunAs(UID, groups, minimal=False))
    assert found.uid == UID
    return found.gid, found.groups


@pytest.mark.parametrize(
    ("recorded", "gid", "groups"),
    [
        ((PRIMARY, PRIMARY, STAFF, AUDIO), PRIMARY, (PRIMARY, STAFF, AUDIO)),
        ((PRIMARY, STAFF), PRIMARY, (STAFF,)),  # gave one up
        ((PRIMARY,), PRIMARY, ()),  # gave all up
        ((STAFF, PRIMARY), STAFF, (PRIMARY,)),  # newgrp
        ((PRIMARY, 60, STAFF), PRIMARY, (STAFF,)),  # was taken out of 60 since
        ((LENT, STAFF, LENT), PRIMARY, (STAFF,)),  # by a setgid program
        ((0, 0), PRIMARY, ()),  # nobody becomes root's
    ],
)
def test_groups_are_those_recorded_that_the_account_still_has(
    recorded: tuple[int, ...], gid: int, groups: tuple[int, ...]
) -> None:
    """A job has the groups that its submitter had at enqueue and still has."""
    assert resolve(*recorded) == (gid, groups)


def test_a_job_from_before_has_the_primary_group_alone() -> None:
    """Without recorded groups, a job has the primary group alone."""
    found = confine.account_of(RunAs(UID, None, minimal=True))
    assert found == Account(UID, PRIMARY, ())


def test_a_uid_without_an_account_is_refused() -> None:
    """A uid without an account is refused; the sentence says what to do."""
    with pytest.raises(SpawnError, match=r"uid 1234, has no account .* retry"):
        confine.account_of(RunAs(1234, (1234,), minimal=False))


def test_a_job_of_nobody_known_is_refused() -> None:
    """A job whose submitter is not known does not run as the daemon."""
    with pytest.raises(SpawnError, match=r"nobody knows who .* enqueue it again"):
        confine.account_of(RunAs(None, None, minimal=False))


def test_the_minimal_environment_is_the_accounts() -> None:
    """The minimal environment has the account's variables; without one, only PATH."""
    assert accounts.environment(UID) == {
        "PATH": PATH,
        "HOME": "/home/alice",
        "LOGNAME": "alice",
        "SHELL": "/bin/sh",
        "USER": "alice",
    }
    assert accounts.environment(1234) == {"PATH": PATH}
