"""The table of all methods: what the server answers, and what ``describe`` tells.

A method is added by a handler and its row in the file of its family.
"""

from collections.abc import Mapping
from types import MappingProxyType

from queuectld.server.methods import (
    backup,
    changes,
    config,
    daemon,
    jobs,
    logs,
    meta,
    pruning,
    stats,
    waiting,
    workers,
)
from queuectld.server.schema.method import Method

_FAMILIES = (
    meta,
    jobs,
    changes,
    waiting,
    logs,
    pruning,
    stats,
    config,
    workers,
    daemon,
    backup,
)

METHODS: Mapping[str, Method] = MappingProxyType(
    {method.name: method for family in _FAMILIES for method in family.METHODS}
)
