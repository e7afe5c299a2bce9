"""The parts of the daemon that the server is made from.

``dispatch.bind`` and ``Listener.open`` alone read them, and give each object what it
uses.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from queuectld.broker import Broker
from queuectld.clock import Clock
from queuectld.config import DaemonConfig
from queuectld.control.attempts import Attempts
from queuectld.control.pruning import Pruner
from queuectld.control.shutdown import Shutdown
from queuectld.control.supervisor import Supervisor
from queuectld.linux.inotify import Watcher
from queuectld.server.connection.registry import Registry
from queuectld.store.api import Store
from queuectld.workers.daemon_side.pool import Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts of one running daemon.

    Attributes:
        config: returns the configuration in force, which a reload replaces.
        socket: the path at which clients find this daemon; systemd may have chosen
            another path than the configured one.
        instance: random, new at each start: the same word means the same process.
        started_at: milliseconds since 1970.
        files: tells when output files grow.
        connections: the open ones.
    """

    store: Store
    broker: Broker
    pool: Pool
    supervisor: Supervisor
    attempts: Attempts
    pruner: Pruner
    shutdown: Shutdown
    config: Callable[[], DaemonConfig]
    socket: Path
    clock: Clock
    instance: str
    started_at: int
    files: Watcher = field(default_factory=Watcher)
    connections: Registry = field(default_factory=Registry)
