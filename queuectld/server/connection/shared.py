"""What all connections share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from queuectld.config import DaemonConfig
from queuectld.server.call import Peer
from queuectld.server.connection.admission import Admission
from queuectld.server.connection.registry import Registry
from queuectld.server.connection.role_refusal import FindJob
from queuectld.server.schema.method import Method


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """The parts of the daemon that a connection uses.

    Attributes:
        methods: the dispatch table, by name.
        config: returns the configuration in force.
        instance: identifies the daemon's process; see the greeting.
        find_job: returns a job by its id.
        client_gone: called when a client has disconnected.
    """

    methods: Mapping[str, Method]
    config: Callable[[], DaemonConfig]
    instance: str
    find_job: FindJob
    client_gone: Callable[[Peer], None]
    connections: Registry
    admission: Admission = field(default_factory=Admission)
