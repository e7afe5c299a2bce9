"""The dispatch table: every method that the daemon answers.

``METHODS`` holds the rows as data, which ``describe`` tells. ``bind`` gives each family
of methods the parts of the daemon that it uses.

A method is added by a handler and its row in the file of its family.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from queuectld.server.context import Context
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
from queuectld.server.schema.method import Method


def _meta(parts: Context) -> meta.Meta:
    return meta.Meta(
        methods=METHODS,
        broker=parts.broker,
        config=parts.config,
        instance=parts.instance,
    )


def _enqueueing(parts: Context) -> enqueueing.Enqueueing:
    return enqueueing.Enqueueing(
        broker=parts.broker,
        scheduler=parts.scheduler,
        pool=parts.scheduler.pool,
        config=parts.config,
        clock=parts.clock,
    )


def _changes(parts: Context) -> changes.Changes:
    scheduler = parts.scheduler
    return changes.Changes(parts.broker, scheduler, scheduler.housekeeping)


def _stats(parts: Context) -> stats.Stats:
    return stats.Stats(
        broker=parts.broker,
        scheduler=parts.scheduler,
        pool=parts.scheduler.pool,
        clock=parts.clock,
    )


def _workers(parts: Context) -> workers.Workers:
    scheduler = parts.scheduler
    return workers.Workers(parts.broker, scheduler.supervisor, scheduler.pool)


def _daemon(parts: Context) -> daemon.Daemon:
    probe = HealthProbe(
        parts.broker,
        parts.config,
        parts.store_facts,
        unstored=lambda: parts.scheduler.unstored,
    )
    doctor = Doctor(
        broker=parts.broker,
        pool=parts.scheduler.pool,
        config=parts.config,
        socket=parts.socket,
        store_facts=parts.store_facts,
        examine=parts.examine,
    )
    return daemon.Daemon(
        broker=parts.broker,
        scheduler=parts.scheduler,
        supervisor=parts.scheduler.supervisor,
        pool=parts.scheduler.pool,
        connections=parts.connections,
        probe=probe,
        doctor=doctor,
        config=parts.config,
        clock=parts.clock,
        socket=parts.socket,
        instance=parts.instance,
        started_at=parts.started_at,
        stop_daemon=parts.stop,
        restart_daemon=parts.restart,
    )


_FAMILIES: Sequence[tuple[Sequence[Method], Callable[[Context], object]]] = (
    (meta.METHODS, _meta),
    (enqueueing.METHODS, _enqueueing),
    (jobs.METHODS, lambda parts: jobs.Jobs(parts.broker, parts.config)),
    (changes.METHODS, _changes),
    (waiting.METHODS, lambda parts: waiting.Waiting(parts.broker)),
    (
        logs.METHODS,
        lambda parts: logs.Logs(parts.broker, parts.config, parts.files),
    ),
    (
        pruning.METHODS,
        lambda parts: pruning.Pruning(parts.scheduler.housekeeping),
    ),
    (stats.METHODS, _stats),
    (config.METHODS, lambda parts: config.Config(parts.broker)),
    (workers.METHODS, _workers),
    (daemon.METHODS, _daemon),
    (backup.METHODS, lambda parts: backup.Backup(parts.config, parts.backup)),
)
"""The rows of each family, and what makes the family from the daemon's parts."""

METHODS: Mapping[str, Method] = MappingProxyType(
    {method.name: method for rows, _make in _FAMILIES for method in rows}
)


def bind(parts: Context) -> Mapping[str, Method]:
    """Return the table with handlers that only need the call and its arguments."""
    return {
        method.name: method.bound_to(family)
        for rows, make in _FAMILIES
        for family in [make(parts)]
        for method in rows
    }
