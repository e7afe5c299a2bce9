"""Limits of what a job takes of the machine, and whether they can be enforced here.

A limit that cannot be enforced is refused, with a sentence that says why: whoever asks
for one relies on it.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from queuectl_protocol.rlimits import INFINITY, RLIMITS

__all__ = [
    "CONTROLLER",
    "INFINITY",
    "NONE",
    "RLIMITS",
    "Limits",
    "Means",
    "refusal",
    "shared",
]

CONTROLLER: Mapping[str, str] = MappingProxyType(
    {"memory_max": "memory", "cpu_quota": "cpu", "tasks_max": "pids"}
)
"""Limits that a controller of cgroup v2 enforces, and which."""

_INSTEAD: Mapping[str, str] = MappingProxyType(
    {
        "memory_max": "; rlimits can bound the address space of each process (as)",
        "cpu_quota": "; nice makes a job give way to others",
        "tasks_max": "; rlimits can bound the processes of the account (nproc)",
    }
)


class Limits(NamedTuple):
    """Limits of one job; what is 0 is not limited.

    Attributes:
        nice: added to the daemon's niceness, for all of the job's processes.
        memory_max: bytes of all its processes together, swap included; above it the
            kernel kills the job (reason ``oom``).
        cpu_quota: percent of one processor, for all of its processes together.
        tasks_max: processes and threads at a time.
        rlimits: soft and hard resource limits of each process, by the names of
            prlimit(1) (``RLIMITS``) and in the units of setrlimit(2); ``INFINITY``.
    """

    nice: int = 0
    memory_max: int = 0
    cpu_quota: float = 0
    tasks_max: int = 0
    rlimits: tuple[tuple[str, int], ...] = ()


NONE = Limits()
"""No limits: one object for nearly all jobs. See ``shared``."""


class Means(NamedTuple):
    """What can be enforced here.

    Attributes:
        controllers: of cgroup v2, that job cgroups have.
        missing: why the others are not there, and what to do.
        lowest_nice: the least that may be added to the niceness: 0 for most accounts.
        ceilings: hard resource limits that cannot be exceeded, by name. One that is
            not there does not bind.
    """

    controllers: frozenset[str] = frozenset()
    missing: str = "this daemon has no cgroup of its own"
    lowest_nice: int = 0
    ceilings: Mapping[str, int] = MappingProxyType({})


NO_MEANS = Means()
"""What is assumed until it is known what can be enforced."""


def shared(limits: Limits) -> Limits:
    """Return the limits, or ``NONE`` itself if they limit nothing."""
    return NONE if limits == NONE else limits


def refusal(limits: Limits, means: Means) -> tuple[str, str] | None:
    """Return the first limit that cannot be enforced, and a sentence; None if all can.

    The sentence begins with the name of the limit.
    """
    for name, controller in CONTROLLER.items():
        if getattr(limits, name) and controller not in means.controllers:
            instead = _INSTEAD[name]
            return name, f"{name} cannot be enforced: {means.missing}{instead}"
    if limits.nice < means.lowest_nice:
        return "nice", (
            f"nice {limits.nice} cannot be set: this daemon may add "
            f"{means.lowest_nice} at the least (systemd: LimitNICE=)"
        )
    for name, value in limits.rlimits:
        if _exceeds(value, means.ceilings.get(name, INFINITY)):
            return "rlimits", (
                f"rlimits: {name} of {_shown(value)} cannot be set: the daemon's hard "
                f"limit is {_shown(means.ceilings[name])} "
                f"(systemd: Limit{name.upper()}=)"
            )
    return None


def _exceeds(value: int, ceiling: int) -> bool:
    if ceiling == INFINITY:
        return False
    return value == INFINITY or value > ceiling


def _shown(value: int) -> str:
    return "infinity" if value == INFINITY else str(value)
