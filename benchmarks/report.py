"""Figures beside their floors: medians, spreads, bars, and the tables of them.

Measures nothing.
"""

import json
import os
import platform
import sqlite3
import statistics
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]

HEADER = ("figure", "median", "spread", "beside it", "ratio", "bar", "")


@dataclass(frozen=True, slots=True)
class Series:
    """What one thing came to, a value a round."""

    name: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle value."""
        return statistics.median(self.values)

    def __str__(self) -> str:
        """The name and the median."""
        return f"{self.name}: {number(self.median)}"


@dataclass(frozen=True, slots=True)
class Bar:
    """What a figure has to reach.

    Attributes:
        least: whether ``limit`` is the least that will do, or the most.
        of: what is held against it: the figure's "value" or its "ratio" to the floor.
    """

    limit: float
    least: bool
    of: str = "value"

    def __str__(self) -> str:
        """As in the table: ">= 0.5 x"."""
        sign = ">=" if self.least else "<="
        return f"{sign} {number(self.limit)}{' x' if self.of == 'ratio' else ''}"

    def met_by(self, value: float) -> bool:
        """Whether a value reaches it."""
        return value >= self.limit if self.least else value <= self.limit


def at_least(limit: float) -> Bar:
    """Return a bar for the figure itself."""
    return Bar(limit, least=True)


def at_most(limit: float) -> Bar:
    """Return a bar for the figure itself."""
    return Bar(limit, least=False)


def ratio_at_least(limit: float) -> Bar:
    """Return a bar for figure / floor."""
    return Bar(limit, least=True, of="ratio")


def ratio_at_most(limit: float) -> Bar:
    """Return a bar for figure / floor."""
    return Bar(limit, least=False, of="ratio")


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of a table.

    Attributes:
        values: one a round.
        floor: what stands beside it, measured in the same rounds.
    """

    name: str
    unit: str
    values: tuple[float, ...]
    floor: Series | None = None
    bar: Bar | None = None

    @property
    def median(self) -> float:
        """The middle value."""
        return statistics.median(self.values)

    @property
    def ratio(self) -> float | None:
        """The median of the rounds' own ratios: noise that lasts touches both."""
        if self.floor is None:
            return None
        if len(self.floor.values) != len(self.values):
            return self.median / self.floor.median
        pairs = zip(self.values, self.floor.values, strict=True)
        return statistics.median(value / floor for value, floor in pairs)

    @property
    def met(self) -> bool | None:
        """Whether the bar is reached; None without one."""
        if self.bar is None:
            return None
        held = self.median if self.bar.of == "value" else self.ratio
        assert held is not None, f"{self.name}: a ratio needs a floor"
        return self.bar.met_by(held)

    def cells(self) -> tuple[str, ...]:
        """Return the row as text."""
        low, high = min(self.values), max(self.values)
        return (
            self.name,
            f"{number(self.median)} {self.unit}".rstrip(),
            f"{number(low)} - {number(high)}" if len(self.values) > 1 else "",
            str(self.floor or ""),
            "" if self.ratio is None else f"{self.ratio:.2f}",
            str(self.bar or ""),
            {True: "met", False: "**MISSED**", None: ""}[self.met],
        )

    def as_map(self) -> dict[str, object]:
        """Return the row as data."""
        verdict = {"median": self.median, "ratio": self.ratio, "met": self.met}
        return {**asdict(self), **verdict}


@dataclass(frozen=True, slots=True)
class Table:
    """What a benchmark found; ``notes`` say how it was measured."""

    name: str
    title: str
    figures: tuple[Figure, ...]
    notes: str = ""

    def markdown(self) -> str:
        """Return it as it is printed, and as it stands in docs/benchmarks.md."""
        cells = [HEADER, *(figure.cells() for figure in self.figures)]
        lines = _aligned(cells)
        rule = "|".join("-" * len(part) for part in lines[0].split("|"))
        notes = [self.notes, ""] if self.notes else []
        return "\n".join(
            [f"### {self.name}: {self.title}", "", *notes, lines[0], rule, *lines[1:]]
        )

    def json_lines(self) -> str:
        """Return a line for each figure."""
        return "".join(
            json.dumps({"benchmark": self.name, **figure.as_map()}) + "\n"
            for figure in self.figures
        )


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        + " |"
        for row in rows
    ]


def number(value: float) -> str:
    """Return a number as people read it: three digits that say something."""
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"


def quantile(values: Iterable[float], share: float) -> float:
    """Return the value that ``share`` of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def header() -> dict[str, str]:
    """Return what the figures depend on: machine, versions and commit."""
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    return {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "commit": _commit(),
        "cpu": f"{os.cpu_count()} x {_cpu()}",
        "memory": f"{_memory_gib():.0f} GiB",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "load before": load,
    }


def header_markdown(facts: dict[str, str]) -> str:
    """Return the header as a list."""
    return "\n".join(f"- {name}: {value}" for name, value in facts.items())


def _commit() -> str:
    def git(*arguments: str) -> str:
        command = ["git", "-C", str(ROOT), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    commit = git("rev-parse", "--short", "HEAD") or "unknown"
    return f"{commit} with changes" if git("status", "--porcelain") else commit


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return " ".join(line.partition(":")[2].split())
    return platform.machine()


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
