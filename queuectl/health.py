"""How bad it is: what a daemon tells of its health, held against limits. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from queuectl_protocol.units import format_duration, format_size

if TYPE_CHECKING:
    from queuectl.models import Health


class Level(IntEnum):
    """How bad it is; also the exit status, as monitors of the Nagios kind have it."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        check: its name.
        says: what was found, in words.
        value: the figure, where it is one; None: there is none, or it is not known.
    """

    check: str
    level: Level
    says: str
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Gauge:
    """A figure with limits.

    Attributes:
        kind: how it is written: count, duration or size.
        warning, critical: from which value on it is so bad; None: never.
        read: returns the figure; None: there is nothing to be worried about, unless
            it is ``measured``.
        phrase: what is said of it, with ``{}`` in the figure's place.
        sinks: it is bad when it is less than its limits, not when it reaches them.
        measured: there is one always, so that none means that the disk did not answer.
    """

    kind: str
    warning: float | None
    critical: float | None
    doc: str
    read: Callable[[Health], float | None]
    phrase: str
    sinks: bool = False
    measured: bool = False

    def text(self, value: float) -> str:
        """Return a figure with its unit."""
        match self.kind:
            case "duration":
                return format_duration(round(value))
            case "size":
                return format_size(int(value))
        return f"{value:g}"

    def level(self, value: float, limits: Limits) -> Level:
        """Return how bad a figure is."""
        for level, limit in zip((Level.CRITICAL, Level.WARNING), limits, strict=True):
            bad = limit is not None and (
                value < limit if self.sinks else value >= limit
            )
            if bad:
                return level
        return Level.OK


Limits = tuple[float | None, float | None]
"""Of a gauge: from when on it is critical, and from when on worth a warning."""

HOUR, DAY = 3600, 86_400
MIB, GIB = 1024**2, 1024**3


def _unmanned(health: Health) -> float | None:
    return None if health.workers.active else health.oldest_ready


def _missing(health: Health) -> float | None:
    return max(0, (health.workers.wanted or 0) - health.workers.active)


GAUGES: Mapping[str, Gauge] = MappingProxyType(
    {
        "free": Gauge(
            "size", GIB, 64 * MIB, "room on the disk of the queue",
            lambda health: health.free, "{} free", sinks=True, measured=True,
        ),
        "unmanned": Gauge(
            "duration", 0, 300, "how long a job has waited while there are no workers",
            _unmanned, "no workers, and a job has waited {}",
        ),
        "missing": Gauge(
            "count", 1, None, "workers that are wanted and not there",
            _missing, "workers missing: {}",
        ),
        "age": Gauge(
            "duration", HOUR, DAY, "how long a job has waited that could run",
            lambda health: health.oldest_ready, "a job has waited {}",
        ),
        "dead": Gauge(
            "count", 10, 100, "jobs that failed for good in the last hour",
            lambda health: health.dead_lately, "jobs that died in an hour: {}",
        ),
        "unstored": Gauge(
            "count", 1, None, "results of jobs that are not stored yet",
            lambda health: health.unstored, "results not stored: {}",
        ),
        "wal": Gauge(
            "size", 256 * MIB, GIB, "the store's write-ahead log",
            lambda health: health.wal_size, "a log of {}", measured=True,
        ),
    }
)  # fmt: skip
"""What has limits, by name, in the order in which it is told."""

_OF_WORKERS = frozenset({"unmanned", "missing"})
"""Gauges that say nothing while the daemon ends, and its workers with it."""

DEFAULTS: Mapping[str, Limits] = MappingProxyType(
    {name: (gauge.critical, gauge.warning) for name, gauge in GAUGES.items()}
)


def judge(health: Health, limits: Mapping[str, Limits] = DEFAULTS) -> list[Finding]:
    """Return a finding for each thing that is looked at.

    Args:
        health: what the daemon tells.
        limits: of the gauges, by name; of those that are not in it, the usual ones.
    """
    return [_store(health), _draining(health), *_gauged(health, limits)]


def worst(findings: list[Finding]) -> Level:
    """Return the level of all together."""
    return max((finding.level for finding in findings), default=Level.OK)


def _store(health: Health) -> Finding:
    problem = health.store.problem
    if problem is None:
        return Finding("store", Level.OK, "the store takes writes")
    return Finding("store", Level.CRITICAL, f"the store fails: {problem}")


def _draining(health: Health) -> Finding:
    if not health.draining:
        return Finding("daemon", Level.OK, "the daemon works")
    return Finding("daemon", Level.WARNING, "the daemon is stopping: no job begins")


def _gauged(health: Health, limits: Mapping[str, Limits]) -> Iterator[Finding]:
    for name, gauge in GAUGES.items():
        value = gauge.read(health)
        if value is None and gauge.measured and health.store.problem is None:
            yield Finding(name, Level.WARNING, f"{gauge.doc}: not measured in time")
            continue
        if value is None or (health.draining and name in _OF_WORKERS):
            yield Finding(name, Level.OK, "")
            continue
        level = gauge.level(value, limits.get(name, DEFAULTS[name]))
        yield Finding(name, level, gauge.phrase.format(gauge.text(value)), value)
