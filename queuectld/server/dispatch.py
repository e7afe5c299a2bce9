"""The dispatch table: every method that the daemon answers.

``METHODS`` holds the rows as data, which ``describe`` tells. ``bind`` gives each family
of methods the parts of the daemon that it uses.

A method is added by a handler and its row in the file of its family.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from queuectld.server.health.doctor import Doctor
from queuectld.server.health.probe import HealthProbe
from queuectld.server.methods import (
    backup,
    changes,
    config,
    daemon,
    enqueueing,
    jobs,
    logs,
    meta,
    pruning,
    stats,
    waiting,
    workers,
)
from queuectld.server.parts import Parts
from queuectld.server.schema.method import Method


def _daemon(parts: Parts) -> daemon.DaemonMethods:
    return daemon.DaemonMethods(
        broker=parts.broker,
        supervisor=parts.supervisor,
        shutdown=parts.shutdown,
        connections=parts.connections,
        probe=HealthProbe(parts.broker, parts.config, parts.store, parts.attempts),
        doctor=Doctor(
            broker=parts.broker,
            store=parts.store,
            supervisor=parts.supervisor,
            config=parts.config,
            socket=parts.socket,
        ),
        config=parts.config,
        clock=parts.clock,
        socket=parts.socket,
        instance=parts.instance,
        started_at=parts.started_at,
    )


_FAMILIES: Sequence[tuple[Sequence[Method], Callable[[Parts], object]]] = (
    (meta.METHODS, lambda p: meta.MetaMethods(METHODS, p.broker, p.config, p.instance)),
    (
        enqueueing.METHODS,
        lambda p: enqueueing.EnqueueMethods(p.broker, p.supervisor, p.config, p.clock),
    ),
    (jobs.METHODS, lambda p: jobs.JobMethods(p.broker, p.config)),
    (changes.METHODS, lambda p: changes.ChangeMethods(p.broker, p.attempts, p.pruner)),
    (waiting.METHODS, lambda p: waiting.WaitMethods(p.broker)),
    (logs.METHODS, lambda p: logs.LogMethods(p.broker, p.config, p.files)),
    (pruning.METHODS, lambda p: pruning.PruneMethods(p.pruner)),
    (stats.METHODS, lambda p: stats.StatsMethods(p.broker, p.supervisor, p.clock)),
    (config.METHODS, lambda p: config.ConfigMethods(p.broker)),
    (workers.METHODS, lambda p: workers.WorkerMethods(p.broker, p.supervisor, p.pool)),
    (daemon.METHODS, _daemon),
    (backup.METHODS, lambda p: backup.BackupMethods(p.store, p.config, p.clock)),
)
"""The rows of each family, and what makes the family from the parts it uses."""

METHODS: Mapping[str, Method] = MappingProxyType(
    {method.name: method for rows, _make in _FAMILIES for method in rows}
)


def bind(parts: Parts) -> Mapping[str, Method]:
    """Return the table with handlers that only need the call and its arguments."""
    return {
        method.name: method.bound_to(family)
        for rows, make in _FAMILIES
        for family in [make(parts)]
        for method in rows
    }
