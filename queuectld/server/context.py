"""The parts of the daemon that the server and its methods use."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from queuectld.broker import Broker
from queuectld.clock import Clock
from queuectld.config import DaemonConfig
from queuectld.control.attempts import Attempts
from queuectld.control.pruning import Pruner
from queuectld.control.shutdown import Shutdown
from queuectld.control.supervisor import Supervisor
from queuectld.host.crew import Crew
from queuectld.store.api import Store
from queuectld.workers.daemon_side.pool import Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The parts of one running daemon.

    Attributes:
        config: returns the configuration in force: a reload replaces it.
        socket: the path that clients find this daemon at; systemd may have chosen
            another than the configured one.
        looking: asks for names of users, which a directory service may keep.
        instance: random, new at each start: the same word means the same process.
        started_at: milliseconds since 1970.
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
    looking: Crew
    clock: Clock
    instance: str
    started_at: int
