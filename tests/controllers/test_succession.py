"""Running jobs and their limits, from one daemon to the next."""

from collections.abc import Callable

import pytest

from helpers.systemdbox_installed import SERVICE
from helpers.systemdbox_queue import Gate, Service
from helpers.umlbox import PYTHON, UNIT_GROUP, attempts, group_of, job_groups, members
from helpers.waiting import until

TAKE = f"{PYTHON} -c 'taken = b\"x\" * (200 << 20)'"


def greedy(service: Service, name: str) -> Gate:
    """Run a job that will take too much memory, once it is let through a gate."""
    gate = service.gate(name)
    service.ok(
        *("enqueue", "--id", name, "--max-retries", "0", "--memory-max", "64M"),
        f"read line <{gate.path}; {TAKE}; echo survived",
    )
    gate.reached()
    return gate


both = pytest.mark.parametrize("succeed", [Service.restart, Service.kill])


@both
def test_running_jobs_and_their_limits_survive_the_daemon(
    service: Service, succeed: Callable[[Service], None]
) -> None:
    """The next daemon has the one attempt of each, ended by its limit or by itself."""
    first = service.start(workers=2)
    calm, limited = service.waiting_job("calm"), greedy(service, "limited")
    group = group_of(service, "limited")
    succeed(service)
    assert service.main_pid not in (0, first)
    assert (group / "memory.max").read_text() == f"{64 << 20}\n"
    assert members(group)
    limited.open()
    calm.open()
    service.queuectl("wait", "limited", "calm")
    (attempt,) = attempts(service, "limited")
    assert attempt["reason"] == "oom"
    assert attempt["memory_peak"] >= 32 << 20
    assert service.attempts("calm") == [("exit", 0)]
    until(lambda: job_groups() == [], "their cgroups are gone")


@both
def test_the_next_daemon_holds_new_jobs_to_their_limits(
    service: Service, succeed: Callable[[Service], None]
) -> None:
    """It is beside the jobs that go on, in its own cgroup, and can make new ones."""
    service.start(workers=2)
    calm = service.waiting_job("calm")
    succeed(service)
    assert service.main_pid in members(UNIT_GROUP / "supervisor")
    greedy(service, "new").open()
    service.queuectl("wait", "new")
    assert [each["reason"] for each in attempts(service, "new")] == ["oom"]
    assert service.show("calm")["state"] == "processing"
    calm.open()
    service.ok("wait", "calm")


def test_a_reload_works_beside_running_jobs(service: Service) -> None:
    """The command for that can be started, with controllers in use below."""
    daemon = service.start(workers=1)
    gate = service.waiting_job("calm")
    service.box.systemctl("reload", SERVICE)
    until(lambda: service.state == "active", "systemd has it as active")
    assert service.main_pid == daemon
    gate.open()
    service.ok("wait", "calm")
    assert service.attempts("calm") == [("exit", 0)]
