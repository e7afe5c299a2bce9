"""What a cgroup holds together: no process of a job gets away; no cgroup is left."""

import os
import signal
from pathlib import Path

import pytest

from helpers.processes import await_end
from helpers.systemdbox_installed import SERVICE
from helpers.systemdbox_queue import Gate, Service
from helpers.umlbox import (
    UNIT_GROUP,
    attempts,
    end_of,
    group_of,
    job_groups,
    members,
    watched,
)
from helpers.waiting import until

ENDED_WITHIN = 20.0
"""Seconds: the grace between SIGTERM and SIGKILL, and a slow kernel."""


def fugitive(service: Service, name: str) -> tuple[Gate, Path]:
    """Run a job with a process that shook off all that it could be known by.

    Twice forked, in a session of its own, with no environment and none of the job's
    files. Returns the gate at which the job itself waits, and the job's cgroup.
    """
    own, away = service.gate(name), service.gate(f"{name}.away")
    flee = f"env -i setsid sh -c 'read line <{away.path} & read end <{away.path}.end'"
    service.box.ok("mkfifo", "--mode=666", f"{away.path}.end")
    command = f"({flee} >/dev/null 2>&1 &); read line <{own.path}"
    service.ok("enqueue", "--id", name, "--max-retries", "0", command)
    own.reached()
    away.reached()
    group = group_of(service, name)
    assert len(members(group)) >= 3
    return own, group


def reason(service: Service, job: str, lease: int) -> str | None:
    """Return why an attempt ended; None while it has not."""
    (found,) = (each for each in attempts(service, job) if each["lease"] == lease)
    ended: str | None = found["reason"]
    return ended


def test_a_cancelled_job_takes_its_fugitives_along(service: Service) -> None:
    """When cancel returns, all are gone, and their cgroup with them."""
    service.start(workers=1)
    _, group = fugitive(service, "wild")
    with watched(group) as handles:
        service.ok("cancel", "wild")
        for pid, handle in handles.items():
            await_end(pid, os.dup(handle), within=ENDED_WITHIN)
    until(lambda: not group.exists(), "its cgroup is gone")
    assert service.show("wild")["state"] == "cancelled"


def test_a_job_that_ends_takes_its_fugitives_along(service: Service) -> None:
    """What the main process leaves behind is ended, and its result is kept."""
    service.start(workers=1)
    gate, group = fugitive(service, "wild")
    with watched(group) as handles:
        gate.open()
        assert end_of(service, "wild")["exit_code"] == 0
        for pid, handle in handles.items():
            await_end(pid, os.dup(handle), within=ENDED_WITHIN)
    until(lambda: not group.exists(), "its cgroup is gone")


@pytest.mark.parametrize("also", [False, True], ids=["worker", "worker and daemon"])
def test_a_fugitive_does_not_outlive_a_killed_worker(
    service: Service, *, also: bool
) -> None:
    """Nobody is left who was its parent; it is found by its cgroup all the same."""
    daemon = service.start(workers=1)
    _, group = fugitive(service, "wild")
    supervisor = members(UNIT_GROUP / "supervisor")
    assert daemon in supervisor
    lease = attempts(service, "wild")[-1]["lease"]
    with watched(group) as handles:
        for pid in supervisor:
            if also or pid != daemon:
                os.kill(pid, signal.SIGKILL)
        for pid, handle in handles.items():
            await_end(pid, os.dup(handle), within=ENDED_WITHIN)
    until(lambda: not group.exists(), "its cgroup is gone")
    until(lambda: reason(service, "wild", lease) == "lost", "it is known as lost")


def test_cgroups_below_that_of_a_job_go_with_it(service: Service) -> None:
    """A job may make cgroups of its own, and move into them: they are ended too."""
    service.start(workers=1)
    gate = service.gate("nested")
    enter = "cd /sys/fs/cgroup$(cut -c4- /proc/self/cgroup); mkdir -p a/b"
    command = f"{enter}; echo 0 >a/b/cgroup.procs; cd /; read line <{gate.path}"
    service.ok("enqueue", "--id", "nested", command)
    gate.reached()
    group = group_of(service, "nested")
    assert members(group / "a/b")
    service.ok("cancel", "nested")
    until(lambda: not group.exists(), "its cgroup is gone")


def test_many_jobs_leave_no_cgroup(service: Service) -> None:
    """Each has had one, and none is left."""
    service.start(workers=2)
    script = "seq 20 | sed 's/.*/true/' | queuectl enqueue --file - --lines"
    listens = "/run/queuectl/queuectl.sock"
    service.box.ok("sh", "-c", script, user="alice", QUEUECTL_SOCKET=listens)
    until(lambda: service.counts()["completed"] == 20, "all have completed")
    until(lambda: job_groups() == [], "no cgroup is left")


def test_a_stop_leaves_no_cgroup_and_no_process(service: Service) -> None:
    """Interrupted jobs are pending again; of the service's cgroup nothing is in use."""
    service.configure('shutdown_grace = "0s"')
    service.start(workers=2)
    service.waiting_job("plain")
    fugitive(service, "wild")
    service.box.systemctl("stop", SERVICE)
    assert service.box.show(SERVICE, "Result") == "success"
    assert (members(UNIT_GROUP), job_groups()) == ([], [])
    assert service.show("plain")["state"] == "pending"


def test_a_stop_that_takes_too_long_leaves_none_either(service: Service) -> None:
    """A daemon that was killed by the stop timeout has its jobs ended by systemd."""
    # What ends the jobs has the same time, on a machine that is slow to start programs.
    service.prepare_to_hang("TimeoutStopSec=8")
    service.start(workers=1)
    fugitive(service, "wild")
    service.hang()
    service.box.systemctl("stop", SERVICE)
    assert service.box.show(SERVICE, "Result") == "timeout"
    assert (members(UNIT_GROUP), job_groups()) == ([], [])
