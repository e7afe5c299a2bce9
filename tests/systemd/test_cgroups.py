"""Each job in a cgroup of its own, below the service's.

Most hosts bind the controllers to version 1, so this is what needs none: what belongs
to a job, and that all of it ends. Limits are shown in tests/controllers.
"""

import json
from collections.abc import Callable

import pytest

from helpers.systemdbox_installed import SERVICE
from helpers.systemdbox_queue import Service
from helpers.waiting import until

GROUP = f"/sys/fs/cgroup/system.slice/{SERVICE}"
ASTRAY = "setsid env -i sh -c 'sleep 1000 & sleep 1000 & wait' & "
"""Leaves two processes that are in neither its session nor its environment."""


both = pytest.mark.parametrize("succeed", [Service.restart, Service.kill])


def groups(service: Service) -> list[str]:
    """Return the cgroups below that of the service."""
    place = service.box.file(GROUP)
    return sorted(each.name for each in place.iterdir() if each.is_dir())


def members(service: Service, group: str) -> list[int]:
    """Return the pids in one of them."""
    text = service.box.ok("cat", f"{GROUP}/{group}/cgroup.procs")
    return [int(pid) for pid in text.split()]


def group_of(service: Service, job: str) -> str:
    """Return the cgroup of a job that runs."""
    (attempt,) = json.loads(service.ok("show", job, "--json"))["attempts"]
    lease = attempt["lease"]
    (found,) = [name for name in groups(service) if f".{lease}." in name]
    return found


def test_a_job_has_its_own_and_the_service_has_another(service: Service) -> None:
    """Daemon and workers are beside the jobs, and systemd knows its main process."""
    daemon = service.start(workers=2)
    gate = service.waiting_job("one")
    group = group_of(service, "one")
    assert group.startswith("job-1.1.")
    assert groups(service) == [group, "supervisor"]
    assert len(members(service, "supervisor")) == 3
    assert daemon in members(service, "supervisor")
    assert len(members(service, group)) == 1
    assert service.main_pid == daemon
    gate.open()
    service.ok("wait", "one")
    until(lambda: groups(service) == ["supervisor"], "its cgroup is gone")


def test_status_tells_what_is_delegated(service: Service) -> None:
    """And a limit that nobody can enforce here is refused before it is a job."""
    service.start()
    limits = json.loads(service.ok("daemon", "status", "--json"))["limits"]
    if limits["controllers"]:
        pytest.skip("this machine has controllers of version 2")
    assert "has no controller" in limits["missing"]
    refused = service.refused("enqueue", "--memory-max", "64M", "true")
    assert "memory_max cannot be enforced" in refused
    assert GROUP in refused
    assert service.counts()["pending"] == 0


@both
def test_jobs_keep_theirs_from_one_daemon_to_the_next(
    service: Service, succeed: Callable[[Service], None]
) -> None:
    """And new ones get theirs beside them."""
    service.start(workers=2)
    gate = service.waiting_job("old")
    group = group_of(service, "old")
    before = members(service, group)
    succeed(service)
    assert members(service, group) == before
    assert service.main_pid in members(service, "supervisor")
    service.ok("enqueue", "--id", "new", "cat /proc/self/cgroup")
    service.ok("wait", "new")
    assert "/job-2.1." in service.ok("logs", "new")
    gate.open()
    service.ok("wait", "old")
    assert service.attempts("old") == [("exit", 0)]
    until(lambda: groups(service) == ["supervisor"], "both are gone")


def test_a_dead_workers_job_is_ended_by_its_cgroup(service: Service) -> None:
    """With everything that had left it, before it is tried again."""
    service.start(workers=1)
    gate = service.waiting_job("job", "--max-retries", "0", first=ASTRAY)
    group = group_of(service, "job")
    pids = until(
        lambda: len(found := members(service, group)) == 4 and found, "four processes"
    )
    (worker,) = set(members(service, "supervisor")) - {service.main_pid}
    service.box.ok("kill", "-KILL", str(worker))
    service.queuectl("wait", "job")
    assert service.attempts("job") == [("lost", None)]
    assert not [pid for pid in pids if service.box.file(f"/proc/{pid}").exists()]
    assert groups(service) == ["supervisor"]
    gate.close()


def test_a_stop_leaves_nothing(service: Service) -> None:
    """No process, and no cgroup."""
    service.configure('shutdown_grace = "0s"')
    service.start(workers=1)
    service.waiting_job("job", first=ASTRAY)
    service.box.systemctl("stop", SERVICE)
    assert not service.box.file(GROUP).exists()


def test_a_daemon_from_before_there_were_cgroups(service: Service) -> None:
    """What it left runs beside the next one, in the cgroup of the service itself."""
    service.drop_in("[Service]\nEnvironment=QUEUECTLD_CGROUP=off\n")
    service.start(workers=1)
    gate = service.waiting_job("old")
    assert groups(service) == []
    service.drop_in("")
    service.restart()
    assert groups(service) == ["supervisor"]
    assert len(members(service, "supervisor")) == 3, "daemon, worker and job"
    gate.open()
    service.ok("wait", "old")
    assert service.attempts("old") == [("exit", 0)]
