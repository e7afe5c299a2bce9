"""What the daemon lends to the server: everything a handler can reach."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from queuectld.broker import Broker
from queuectld.clock import Clock
from queuectld.config import DaemonConfig
from queuectld.control.scheduler import Scheduler
from queuectld.linux.inotify import Watcher
from queuectld.server.connection.registry import Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The parts of one running daemon.

    Attributes:
        store_facts: returns what the store says of itself.
        backup: writes a copy of the store to a path, over another file if told so;
            returns its size.
        examine: reads the whole store; returns what is wrong with it.
        config: returns the configuration in force: a reload replaces it.
        socket: the path that clients find this daemon at; systemd may have chosen
            another than the configured one.
        instance: random, new at each start: the same word means the same process.
        started_at: milliseconds since 1970.
        stop: begins the end as SIGTERM does, and asked again does no more; with True,
            as a second signal does.
        restart: ends this process and leaves the workers to the next one.
        files: tells when output files grow.
        connections: those that are open.
    """

    broker: Broker
    scheduler: Scheduler
    store_facts: Callable[[], dict[str, Any]]
    backup: Callable[[Path, bool], Awaitable[int]]
    examine: Callable[[], Awaitable[list[str]]]
    config: Callable[[], DaemonConfig]
    socket: Path
    clock: Clock
    instance: str
    started_at: int
    stop: Callable[[bool], None]
    restart: Callable[[], None]
    files: Watcher = field(default_factory=Watcher)
    connections: Registry = field(default_factory=Registry)
