"""Which part of the cgroup tree a daemon takes, and what it does with it.

In the machine's own tree, with the attribute that systemd sets.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers import cgroups
from queuectld import delegation
from queuectld.delegation import DelegationError, Subtree

TAKE = """
import json, os, sys
from queuectld import delegation
with open(sys.argv[1] + "/cgroup.procs", "w") as procs:
    procs.write("0")
directory, _, missing = delegation.take("auto")
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


def taken_in(group: Path) -> Any:
    """Return what a process in that cgroup takes, why not, and where it is then."""
    argv = [sys.executable, "-c", TAKE, str(group)]
    done = subprocess.run(argv, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("attribute", ["user.delegate", "trusted.delegate"])
def test_what_is_delegated_is_taken(group: Path, attribute: str) -> None:
    """The process moves one down, so that others can be beside it."""
    os.setxattr(group, attribute, b"1")
    directory, _, own = taken_in(group)
    assert directory == str(group)
    assert own.endswith(f"/{group.name}/supervisor")


def test_with_all_that_runs_there(group: Path) -> None:
    """A daemon from before left its workers in it."""
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


def test_what_is_not_delegated_is_left_alone(group: Path) -> None:
    """Though root may write there."""
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
    taken = delegation.take(str(group))
    assert taken.directory == group
    assert [each for each in group.iterdir() if each.is_dir()] == []
    for name in {"cpu", "memory", "pids"} - taken.controllers:
        assert f"no {name}" in taken.missing.replace("controller ", "")


@pytest.mark.parametrize(
    ("named", "problem"),
    [("/tmp", "is no cgroup of version 2"), ("/no/such", "is no cgroup of version 2")],
)
def test_a_directory_that_is_none(named: str, problem: str) -> None:
    """It is an error: who names one relies on it."""
    with pytest.raises(DelegationError, match=problem):
        delegation.take(named)


def test_off() -> None:
    """Nothing is looked for."""
    reason = "cgroups are switched off (cgroup = off)"
    assert delegation.take("off") == Subtree(None, frozenset(), reason)


def test_what_can_be_enforced() -> None:
    """Who runs jobs as others gives them no niceness that they could not have."""
    subtree = delegation.take("off")
    mine = delegation.means(subtree, as_submitter=False)
    theirs = delegation.means(subtree, as_submitter=True)
    assert mine.missing == theirs.missing == subtree.missing
    assert theirs.lowest_nice == 0
    assert mine.lowest_nice == (-20 - os.nice(0) if os.geteuid() == 0 else 0)
