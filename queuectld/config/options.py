"""The daemon's options as data: flags, file keys, variables and docs come from here.

It checks one value at a time; ``queuectld.config.load`` collects them.
"""

import difflib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

from queuectl_protocol import limits
from queuectl_protocol.units import format_duration, parse_duration, parse_size

Value = str | int | float


class OptionKind(StrEnum):
    """How a value is written."""

    PATH = "path"
    CHOICE = "choice"
    COUNT = "whole number"
    DURATION = "duration"
    SIZE = "size"
    CGROUP = "cgroup"


class TakesEffect(StrEnum):
    """When a changed value takes effect."""

    RELOAD = "on reload"
    RESTART = "after a restart"


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option: its type, range, default and meaning.

    Attributes:
        default: as ``check`` returns it; None: it depends on the environment.
        fallback: describes a default of None in the docs.
        choices: the allowed words of a choice.
    """

    key: str
    kind: OptionKind
    doc: str
    applies: TakesEffect
    default: Value | None = None
    fallback: str = ""
    minimum: int = 0
    maximum: int = 0
    choices: tuple[str, ...] = ()

    @property
    def flag(self) -> str:
        """The name on the command line."""
        return "--" + self.key.replace("_", "-")

    @property
    def variable(self) -> str:
        """The name in the environment."""
        return "QUEUECTLD_" + self.key.upper()

    @property
    def range(self) -> str:
        """The allowed values, for the docs and for messages."""
        if self.choices:
            return ", ".join(self.choices)
        if self.kind is OptionKind.PATH:
            return ""
        if self.kind is OptionKind.CGROUP:
            return "auto, off, or the absolute path of a directory"
        return f"{self.write(self.minimum)} to {self.write(self.maximum)}"

    @property
    def default_text(self) -> str:
        """The default as a person writes it, or a description of it."""
        return self.fallback if self.default is None else self.write(self.default)

    def check(self, value: object) -> Value:
        """Return the value in its own type, given as TOML or as text.

        Types: str for a path or a choice, int for a count or a size (bytes), a
        number of seconds for a duration.

        Raises:
            ValueError: it is not of this kind, or out of range.
        """
        if self.kind is OptionKind.PATH:
            return _path(value)
        if self.kind is OptionKind.CHOICE:
            return self._choice(value)
        if self.kind is OptionKind.CGROUP:
            return self._cgroup(value)
        number = self._number(value)
        if not self.minimum <= number <= self.maximum:
            raise ValueError(f"{value} is out of range ({self.range})")
        return number

    def write(self, value: Value | Path) -> str:
        """Return the value as a person writes it: ``30s``, ``8MiB``, ``text``."""
        match value:
            case int() | float() if self.kind is OptionKind.DURATION:
                return _duration(value)
            case int() if self.kind is OptionKind.SIZE:
                return _size(value)
        return str(value)

    def toml(self, value: Value | Path) -> str:
        """Return the line of the file that sets this value."""
        text = self.write(value)
        quoted = text if self.kind is OptionKind.COUNT else json.dumps(text)
        return f"{self.key} = {quoted}"

    def _choice(self, value: object) -> str:
        if value not in self.choices:
            raise ValueError(f"{_show(value)} is none of {self.range}")
        return str(value)

    def _cgroup(self, value: object) -> str:
        text = _path(value)
        if text not in {"auto", "off"} and not text.startswith("/"):
            raise ValueError(f"{_show(value)} is none of {self.range}")
        return text

    def _number(self, value: object) -> int | float:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError(f"{_show(value)} is no {self.kind}")
        if isinstance(value, str):
            return _PARSERS[self.kind](value)
        if isinstance(value, float) and self.kind is not OptionKind.DURATION:
            raise ValueError(f"{value} is no {self.kind}")
        return value


def _path(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{_show(value)} is no path; put it in quotes")
    if not value or "\0" in value:
        raise ValueError(f"{value!r} is no path")
    return value


def _count(text: str) -> int:
    # int() also accepts underscores and digits of other scripts, and raises another
    # message for very long numbers; no option allows as many digits as that.
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 20):
        raise ValueError(f"{text[:30]!r} is no whole number")
    return int(text)


def _duration(seconds: float) -> str:
    short = format_duration(seconds)
    return short if parse_duration(short) == seconds else f"{seconds}s"


def _size(size: int) -> str:
    for exponent, unit in ((3, "GiB"), (2, "MiB"), (1, "KiB")):
        if size and size % 1024**exponent == 0:
            return f"{size // 1024**exponent}{unit}"
    return str(size)


def _show(value: object) -> str:
    """Return the value about as TOML writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a table"
    return "a list" if isinstance(value, list) else repr(value)


_PARSERS: Mapping[OptionKind, Callable[[str], int | float]] = MappingProxyType(
    {
        OptionKind.COUNT: _count,
        OptionKind.DURATION: parse_duration,
        OptionKind.SIZE: parse_size,
    }
)

_MIB = 1024 * 1024

DAEMON, SUBMITTER = "daemon", "submitter"
"""The users that jobs can run as."""

OPTIONS: Mapping[str, Option] = MappingProxyType(
    {
        option.key: option
        for option in (
            Option(
                key="state_dir",
                kind=OptionKind.PATH,
                fallback="$XDG_STATE_HOME/queuectl",
                applies=TakesEffect.RESTART,
                doc="database, output, spool and log: what must survive a reboot",
            ),
            Option(
                key="runtime_dir",
                kind=OptionKind.PATH,
                fallback="state_dir",
                applies=TakesEffect.RESTART,
                doc="socket and workers' records: what must survive a restart of the "
                "daemon",
            ),
            Option(
                key="socket",
                kind=OptionKind.PATH,
                fallback="queuectl.sock in runtime_dir",
                applies=TakesEffect.RESTART,
                doc="where clients connect",
            ),
            Option(
                key="run_as",
                kind=OptionKind.CHOICE,
                choices=(DAEMON, SUBMITTER),
                default=DAEMON,
                applies=TakesEffect.RESTART,
                doc="whom jobs run as: the daemon's user, or each as who enqueued it, "
                "for which the daemon has to run as root",
            ),
            Option(
                key="cgroup",
                kind=OptionKind.CGROUP,
                default="auto",
                applies=TakesEffect.RESTART,
                doc="below which cgroup each job gets one of its own; auto: that of "
                "the service, where systemd has delegated it; off: none",
            ),
            Option(
                key="log_level",
                kind=OptionKind.CHOICE,
                choices=("debug", "info", "warning", "error"),
                default="info",
                applies=TakesEffect.RELOAD,
                doc="the least serious records that are logged; debug has each job's "
                "life",
            ),
            Option(
                key="log_format",
                kind=OptionKind.CHOICE,
                choices=("text", "json"),
                default="text",
                applies=TakesEffect.RELOAD,
                doc="text for people, json for collectors; one line a record in both",
            ),
            Option(
                key="shutdown_grace",
                kind=OptionKind.DURATION,
                default=30,
                maximum=86_400,
                applies=TakesEffect.RELOAD,
                doc="how long running jobs may go on after a request to stop, before "
                "they are interrupted",
            ),
            Option(
                key="max_frame",
                kind=OptionKind.SIZE,
                default=limits.MAX_FRAME,
                # Holds any job with its environment and some attempts, any log chunk.
                minimum=5 * _MIB,
                maximum=256 * _MIB,
                applies=TakesEffect.RESTART,
                doc="bytes in one message on the socket",
            ),
            Option(
                key="max_batch",
                kind=OptionKind.COUNT,
                default=limits.MAX_BATCH,
                minimum=1,
                maximum=1_000_000,
                applies=TakesEffect.RELOAD,
                doc="jobs in one enqueue_many",
            ),
            Option(
                key="max_connections",
                kind=OptionKind.COUNT,
                default=1000,
                minimum=1,
                maximum=100_000,
                applies=TakesEffect.RELOAD,
                doc="clients connected at the same time; a tenth is kept for the "
                "daemon's own user, root and the roles operate and admin, and any "
                "other user has at most half of the rest",
            ),
            Option(
                key="max_inflight",
                kind=OptionKind.COUNT,
                default=1000,
                minimum=1,
                maximum=100_000,
                applies=TakesEffect.RELOAD,
                doc="unanswered requests of one connection",
            ),
            Option(
                key="max_buffered",
                kind=OptionKind.SIZE,
                default=256 * _MIB,
                minimum=_MIB,
                maximum=1024 * 1024 * _MIB,
                applies=TakesEffect.RELOAD,
                doc="bytes that all clients together may have under way: frames that "
                "are not complete, requests that wait, replies that are not read; "
                "twice max_frame if that is more",
            ),
            Option(
                key="max_page",
                kind=OptionKind.COUNT,
                default=limits.MAX_PAGE,
                minimum=1,
                maximum=10_000,
                applies=TakesEffect.RELOAD,
                doc="jobs in one page of a listing",
            ),
        )
    }
)


def nearest(key: str) -> Option | None:
    """Return the option with the most similar key, if one is similar at all."""
    wanted = key.replace("-", "_").lower()
    found = difflib.get_close_matches(wanted, OPTIONS, n=1)
    return OPTIONS[found[0]] if found else None
