"""The machine itself: what tests of limits stand on."""

import os
from pathlib import Path

from helpers.systemdbox_queue import Service
from helpers.umlbox import CGROUPS, UNIT_GROUP, Machine

CONTROLLERS = {"cpu", "memory", "pids"}


def controllers(group: Path) -> set[str]:
    return set((group / "cgroup.controllers").read_text().split())


def test_cgroups_are_of_version_2_with_controllers(box: Machine) -> None:
    """One hierarchy has all that limits need, and there is no other."""
    assert controllers(CGROUPS) >= CONTROLLERS
    mounted = [line.split() for line in box.ok("cat", "/proc/mounts").splitlines()]
    kinds = [(kind, at) for _, at, kind, *_ in mounted if kind.startswith("cgroup")]
    assert kinds == [("cgroup2", str(CGROUPS))]


def test_the_services_cgroup_is_delegated_to_it(service: Service) -> None:
    """It has the controllers and the mark, and belongs to the service's account."""
    service.start()
    assert controllers(UNIT_GROUP) >= CONTROLLERS
    assert os.getxattr(UNIT_GROUP, "trusted.delegate") == b"1"
    assert UNIT_GROUP.owner() == "queuectl"


def test_a_job_runs(service: Service) -> None:
    """The daemon starts, and what is enqueued is done as the service's account."""
    service.start(workers=1)
    service.ok("enqueue", "--id", "who", "id --user --name")
    service.ok("wait", "who")
    assert service.ok("logs", "who") == "queuectl"
