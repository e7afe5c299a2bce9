"""What a job may take of the machine, and what it is told to have taken."""

from datetime import datetime
from typing import Any

from helpers.systemdbox_installed import SERVICE
from helpers.systemdbox_queue import Service
from helpers.umlbox import PYTHON, attempts, end_of, group_of, job_groups, python
from helpers.waiting import until

MIB = 1 << 20
TAKE = f"{PYTHON} -c 'taken = b\"x\" * ({{}} << 20)'"
"""A command line that needs so many MiB."""

BOMB = """
import os, signal
from pathlib import Path

first, group = os.getpid(), "/sys/fs/cgroup" + open("/proc/self/cgroup").read()[3:-1]
try:
    while True:
        os.fork()
except OSError as error:
    if os.getpid() == first:
        print(error.strerror, Path(group, "pids.current").read_text().strip())
    else:
        signal.pause()
"""
"""All fork until they cannot, and none ends: then there are as many as there may be."""

BUSY = """
import time

began, used = time.monotonic(), time.process_time()
while time.monotonic() < began + 2:
    pass
print((time.process_time() - used) / (time.monotonic() - began))
"""

BURN = f"{PYTHON} -c 'import time\nwhile time.process_time() < 0.5: pass'"


def used_ms(attempt: dict[str, Any]) -> int:
    """Return the processor time of an attempt."""
    used: int = attempt["user_ms"] + attempt["system_ms"]
    return used


def took_ms(attempt: dict[str, Any]) -> float:
    """Return how long an attempt was under way."""
    ended, began = (
        datetime.fromisoformat(attempt[name]) for name in ("finished_at", "started_at")
    )
    return (ended - began).total_seconds() * 1000


# -- memory ---------------------------------------------------------------------------


def test_a_job_that_takes_too_much_memory_is_killed_whole(service: Service) -> None:
    """Its shell goes with the program that took it; the reason is ``oom``."""
    service.start(workers=1)
    command = f"{TAKE.format(200)}; echo survived"
    service.ok(
        *("enqueue", "--id", "greedy", "--max-retries", "0"),
        *("--memory-max", "64M", command),
    )
    attempt = end_of(service, "greedy")
    assert (attempt["reason"], attempt["signal"]) == ("oom", 9)
    assert "64" in attempt["message"]
    assert service.show("greedy")["state"] == "dead"
    assert service.ok("logs", "greedy") == ""
    assert job_groups() == []


def test_a_kill_for_memory_is_a_failure_like_others(service: Service) -> None:
    """The retry policy applies, and then the job is dead."""
    service.start(workers=1)
    service.ok(
        *("enqueue", "--id", "greedy", "--max-retries", "1"),
        *("--memory-max", "64M", TAKE.format(200)),
    )
    service.queuectl("wait", "greedy")
    reasons = [attempt["reason"] for attempt in attempts(service, "greedy")]
    assert reasons == ["oom", "oom"]
    assert service.show("greedy")["state"] == "dead"


def test_a_kill_for_memory_concerns_nobody_else(service: Service) -> None:
    """The service stays as it was, and another job goes on."""
    daemon = service.start(workers=2)
    gate = service.waiting_job("other")
    service.ok(
        *("enqueue", "--id", "greedy", "--max-retries", "0"),
        *("--memory-max", "64M", TAKE.format(200)),
    )
    assert end_of(service, "greedy")["reason"] == "oom"
    assert (service.state, service.main_pid) == ("active", daemon)
    assert service.box.show(SERVICE, "NRestarts") == "0"
    gate.open()
    service.ok("wait", "other")
    assert service.attempts("other") == [("exit", 0)]


def test_a_job_within_its_limit_completes_and_its_peak_is_told(
    service: Service,
) -> None:
    """The peak is what all its processes took, which is less than the limit."""
    service.start(workers=1)
    service.ok("enqueue", "--id", "modest", "--memory-max", "200M", TAKE.format(60))
    attempt = end_of(service, "modest")
    assert (attempt["reason"], attempt["exit_code"]) == ("exit", 0)
    assert 60 * MIB <= attempt["memory_peak"] <= 200 * MIB


def test_the_peak_of_a_job_without_limits_is_told_too(service: Service) -> None:
    """Each job has a cgroup, and so the figures, whether it has limits or not."""
    service.start(workers=1)
    service.ok("enqueue", "--id", "free", f"{TAKE.format(30)} & wait")
    assert end_of(service, "free")["memory_peak"] >= 30 * MIB


# -- tasks ----------------------------------------------------------------------------


def test_a_fork_bomb_stays_at_its_tasks(service: Service) -> None:
    """The fork that would be one too many fails with EAGAIN; all of it ends."""
    service.start(workers=1)
    service.ok("enqueue", "--id", "bomb", "--tasks-max", "5", *python(BOMB))
    assert end_of(service, "bomb")["exit_code"] == 0
    assert service.ok("logs", "bomb") == "Resource temporarily unavailable 5"
    assert job_groups() == []


# -- processor ------------------------------------------------------------------------


def test_a_busy_job_gets_its_share_of_a_processor(service: Service) -> None:
    """Of two seconds it has a fifth; the time told for it says so too."""
    service.start(workers=1)
    service.ok("enqueue", "--id", "busy", "--cpu-quota", "20%", *python(BUSY))
    attempt = end_of(service, "busy")
    assert float(service.ok("logs", "busy")) <= 0.3
    assert used_ms(attempt) <= 0.3 * took_ms(attempt)


def test_the_time_of_all_processes_is_told(service: Service) -> None:
    """What a child used counts, also one that nobody waited for."""
    service.start(workers=1)
    gate = service.gate("burnt")
    burn = f'setsid sh -c "{BURN}; echo >{gate.path}; read end <{gate.path}.end"'
    service.box.ok("mkfifo", "--mode=666", f"{gate.path}.end")
    service.ok("enqueue", "--id", "family", f"{burn} & read line <{gate.path}")
    attempt = end_of(service, "family")
    assert used_ms(attempt) >= 500


# -- the process's own ----------------------------------------------------------------


def test_niceness_and_resource_limits_are_those_asked_for(service: Service) -> None:
    """Soft and hard limits alike; the niceness is added to the daemon's."""
    service.start(workers=1)
    service.ok(
        *("enqueue", "--id", "own", "--nice", "5", "--rlimit", "nofile=64"),
        "nice; ulimit -Sn; ulimit -Hn",
    )
    service.ok("wait", "own")
    assert service.ok("logs", "own").split() == ["5", "64", "64"]


def test_limits_are_those_of_the_job_alone(service: Service) -> None:
    """The next job of the same worker has none of them."""
    service.start(workers=1)
    limits = ("--nice", "5", "--rlimit", "nofile=64", "--tasks-max", "5")
    service.ok("enqueue", *limits, "true")
    show = "nice; ulimit -Sn; cat /sys/fs/cgroup$(cut -c4- /proc/self/cgroup)/pids.max"
    service.ok("enqueue", "--id", "next", show)
    service.ok("wait", "next")
    nice, files, tasks = service.ok("logs", "next").split()
    assert (nice, tasks) == ("0", "max")
    assert int(files) > 64


# -- the cgroup -----------------------------------------------------------------------


def test_the_cgroup_of_a_job_has_its_limits(service: Service) -> None:
    """They are in the kernel's files while it runs; the cgroup goes with the job."""
    service.start(workers=1)
    gate = service.gate("held")
    limits = ("--memory-max", "50M", "--cpu-quota", "20%", "--tasks-max", "5")
    service.ok("enqueue", "--id", "held", *limits, f"read line <{gate.path}")
    gate.reached()
    group = group_of(service, "held")
    files = ("memory.max", "memory.oom.group", "cpu.max", "pids.max")
    values = [(group / file).read_text().strip() for file in files]
    assert values == [str(50 * MIB), "1", "20000 100000", "5"]
    gate.open()
    service.ok("wait", "held")
    until(lambda: not group.exists(), "its cgroup is gone")


def test_limits_that_cannot_be_enforced_are_refused(service: Service) -> None:
    """Without a delegated cgroup each says so by its name; other jobs run."""
    service.drop_in("[Service]\nDelegate=no\n")
    service.start(workers=1)
    for option, value in (
        ("memory-max", "50M"),
        ("cpu-quota", "20%"),
        ("tasks-max", "5"),
    ):
        said = service.refused("enqueue", f"--{option}", value, "true")
        assert f"{option.replace('-', '_')} cannot be enforced" in said
    service.ok("enqueue", "--id", "plain", "--nice", "5", "nice")
    service.ok("wait", "plain")
    assert service.ok("logs", "plain") == "5"
