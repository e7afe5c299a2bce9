"""Compares the figures of a daemon's health with limits. No I/O.

Programs import this module: docs/howto/monitoring.md.
"""

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
    """How bad a finding is; also the exit status that Nagios and its kind expect."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    Attributes:
        check: its name.
        says: the result in words.
        value: the figure; None: the check has none, or it is not known.
    """

    check: str
    level: Level
    says: str
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Gauge:
    """A figure with limits.

    Attributes:
        kind: the kind of figure: count, duration or size.
        warning, critical: the value from which it has this level; None: it never has.
        doc: what the figure means.
        read: returns the figure. None is good, unless the figure is ``measured``.
        phrase: the finding in words, with ``{}`` in place of the figure.
        sinks: it is bad when it is below its limits, not when it reaches them.
        measured: it always exists, so None means that the disk did not answer in time.
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

    def level(self, value: float, limits: Thresholds) -> Level:
        """Return the level of a figure."""
        for level, limit in zip((Level.CRITICAL, Level.WARNING), limits, strict=True):
            bad = limit is not None and (
                value < limit if self.sinks else value >= limit
            )
            if bad:
                return level
        return Level.OK


Thresholds = tuple[float | None, float | None]
"""Of a gauge: the values from which it is critical, and from which it is a warning."""

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
"""The figures that have limits, by name, in the order of the findings."""

_OF_WORKERS = frozenset({"unmanned", "missing"})
"""Gauges that do not count while the daemon ends, because its workers end too."""

DEFAULTS: Mapping[str, Thresholds] = MappingProxyType(
    {name: (gauge.critical, gauge.warning) for name, gauge in GAUGES.items()}
)


def judge(health: Health, limits: Mapping[str, Thresholds] = DEFAULTS) -> list[Finding]:
    """Return the findings of all checks.

    Args:
        health: the figures from the daemon.
        limits: the limits of gauges, by name; the other gauges have ``DEFAULTS``.
    """
    return [_store(health), _draining(health), *_gauged(health, limits)]


def worst(findings: list[Finding]) -> Level:
    """Return the worst level of all findings."""
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


def _gauged(health: Health, limits: Mapping[str, Thresholds]) -> Iterator[Finding]:
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
