"""Which part of the cgroup tree a daemon takes, and what it does with it.

In the machine's own tree, with the attribute that systemd sets.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from helpers import cgroups
from queuectld.host import cgroup_delegation
from queuectld.host.cgroup_delegation import DelegationError, Subtree

TAKE = """
import json, os, sys
from queuectld.host import cgroup_delegation
with open(sys.argv[1] + "/cgroup.procs", "w") as procs:
    procs.write("0")
directory, _, missing = cgroup_delegation.take("auto")
own = open("/proc/self/cgroup").read().split("0::")[1].strip()
print(json.dumps([directory and str(directory), missing, own]))
"""


@pytest.fixture
def group(tmp_path: Path) -> Iterator[Path]:
    """A cgroup as systemd makes it for a service."""
    mounts = tmp_path / "cgroup"
    mounts.mkdir()
    with cgroups.a_cgroup(mounts) as made:
        yield made


def taken_in(group: Path, *, started: bool = False, **variables: str) -> Any:
    """Return what a process in that cgroup takes, why not, and where it is then.

    Args:
        group: where it begins.
        started: it has the variable that names it as what a manager has started.
        variables: others.
    """
    pid = "export SYSTEMD_EXEC_PID=$$; " if started else ""
    argv = [sys.executable, "-c", TAKE, str(group)]
    done = subprocess.run(
        ["sh", "-c", f'{pid}exec "$@"', "sh", *argv],
        env=os.environ | {"SYSTEMD_EXEC_PID": "1"} | variables,
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("attribute", ["user.delegate", "trusted.delegate"])
def test_what_is_delegated_is_taken(group: Path, attribute: str) -> None:
    """The process moves one level down, so that there can be others beside it."""
    os.setxattr(group, attribute, b"1")
    directory, _, own = taken_in(group)
    assert directory == str(group)
    assert own.endswith(f"/{group.name}/supervisor")


def test_with_all_that_runs_there(group: Path) -> None:
    """The last daemon left its workers in it."""
    os.setxattr(group, "user.delegate", b"1")
    with subprocess.Popen(["sleep", "1000"]) as other:
        try:
            (group / "cgroup.procs").write_text(str(other.pid))
            taken_in(group)
            assert cgroups.members(group) == []
            assert cgroups.members(group / "supervisor") == [other.pid]
        finally:
            other.kill()


def test_from_one_below(group: Path) -> None:
    """As with DelegateSubgroup= of systemd 254."""
    os.setxattr(group, "user.delegate", b"1")
    (group / "main").mkdir()
    directory, _, own = taken_in(group / "main")
    assert directory == str(group)
    assert own.endswith("/main"), "it is not in the way there"


@contextmanager
def a_users_service(
    group: Path, name: str = cgroup_delegation.SERVICE
) -> Iterator[Path]:
    """Make what a user's systemd makes for a service of that name, unmarked."""
    above = group / f"user@{os.geteuid()}.service"
    made = above / "app.slice" / name
    made.mkdir(parents=True)
    try:
        yield made
    finally:
        for each in (*made.glob("*/"), made, made.parent, above):
            each.rmdir()


STARTED = {"INVOCATION_ID": "0" * 32, "MANAGERPID": "1"}
"""What a manager of a user says to a service, besides the pid."""


def test_a_users_service_is_known_by_its_name(group: Path) -> None:
    """A user's systemd 252 does not mark what it delegates."""
    with a_users_service(group) as own:
        directory, _, now = taken_in(own, started=True, **STARTED)
        assert directory == str(own)
        assert now.endswith(f"/{own.name}/supervisor")


@pytest.mark.parametrize(
    ("name", "started", "variables"),
    [
        ("another.service", True, STARTED),
        (cgroup_delegation.SERVICE, False, STARTED),
        (cgroup_delegation.SERVICE, True, {}),
    ],
    ids=["another unit", "started by what runs there", "no manager of a user"],
)
def test_what_only_resembles_it_is_left_alone(
    group: Path, name: str, started: bool, variables: dict[str, str]
) -> None:
    """Name and variables together are the proof, and the pid that they are about."""
    with a_users_service(group, name) as own:
        directory, missing, _ = taken_in(own, started=started, **variables)
        assert directory is None
        assert "Delegate=yes" in missing


def test_what_is_not_delegated_is_left_alone(group: Path) -> None:
    """Root may write there, but that does not count."""
    directory, missing, own = taken_in(group)
    assert directory is None
    assert "Delegate=yes" in missing
    assert own.endswith(f"/{group.name}")


def test_what_cannot_be_written_is_not_used(group: Path) -> None:
    """As under ProtectControlGroups=: jobs run without cgroups, and it is told why."""
    os.setxattr(group, "user.delegate", b"1")
    (group / "cgroup.max.descendants").write_text("0")
    directory, missing, _ = taken_in(group)
    assert directory is None
    assert f"the cgroup {group} cannot be used: " in missing


def test_a_directory_that_was_named(group: Path) -> None:
    """The process stays where it is."""
    taken = cgroup_delegation.take(str(group))
    assert taken.directory == group
    assert [each for each in group.iterdir() if each.is_dir()] == []
    for name in {"cpu", "memory", "pids"} - taken.controllers:
        assert f"no {name}" in taken.missing.replace("controller ", "")


@pytest.mark.parametrize(
    ("named", "problem"),
    [("/tmp", "is no cgroup of version 2"), ("/no/such", "is no cgroup of version 2")],
)
def test_a_directory_that_is_none(named: str, problem: str) -> None:
    """It is an error: the configuration names it."""
    with pytest.raises(DelegationError, match=problem):
        cgroup_delegation.take(named)


def test_off() -> None:
    """No cgroup is looked for."""
    reason = "cgroups are switched off (cgroup = off)"
    assert cgroup_delegation.take("off") == Subtree(None, frozenset(), reason)


def test_what_can_be_enforced() -> None:
    """With jobs of other users, none gets a niceness that its user could not have."""
    subtree = cgroup_delegation.take("off")
    mine = cgroup_delegation.means(subtree, as_submitter=False)
    theirs = cgroup_delegation.means(subtree, as_submitter=True)
    assert mine.missing == theirs.missing == subtree.missing
    assert theirs.lowest_nice == 0
    assert mine.lowest_nice == (-20 - os.nice(0) if os.geteuid() == 0 else 0)
