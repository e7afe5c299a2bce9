"""The resource limits that a job may have: their names and their units."""

from collections.abc import Mapping
from types import MappingProxyType

INFINITY = -1
"""The value of a resource limit that means no limit: ``resource.RLIM_INFINITY``."""

MAX_RLIMIT = 2**63 - 1
"""The largest resource limit. The kernel takes larger values for infinity."""

RLIMITS: Mapping[str, str] = MappingProxyType(
    {
        "as": "bytes of address space",
        "core": "bytes of a core file",
        "cpu": "seconds of processor time",
        "data": "bytes of data segment",
        "fsize": "bytes of a file it writes",
        "memlock": "bytes locked into memory",
        "nofile": "open files",
        "nproc": "processes of the account",
        "stack": "bytes of stack",
    }
)
"""What each limits, in every process of a job, by the names of prlimit(1)."""
