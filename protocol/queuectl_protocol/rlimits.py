"""The resource limits that a job may have: their names, and what each one counts."""

from collections.abc import Mapping
from types import MappingProxyType

INFINITY = -1
"""Of a resource limit: none. The value of ``resource.RLIM_INFINITY``."""

MAX_RLIMIT = 2**63 - 1
"""The kernel takes more, and means infinity by it."""

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
"""By the names of prlimit(1): what each bounds, in every process of a job."""
