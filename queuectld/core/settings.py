"""The job settings: what ``queuectl config set`` knows, with types and ranges.

They live in the store. The daemon's own settings are another kind, in
``queuectld.config``; no key is in both.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from queuectl_protocol.units import (
    format_duration,
    format_size,
    parse_duration,
    parse_size,
)
from queuectld.core import limits, numbers, unixtext
from queuectld.core.errors import InvalidSettingError
from queuectld.core.job import SHELL
from queuectld.core.limits import Limits

Value = int | float | str


class Kind(StrEnum):
    """How a setting's value is written."""

    COUNT = "whole number"
    NUMBER = "number"
    DURATION = "duration"
    SIZE = "size"
    PATH = "absolute path"


class Applies(StrEnum):
    """Which jobs a new value touches."""

    NEW_JOBS = "jobs enqueued from now on; jobs already queued keep their value"
    AT_ONCE = "at once, to all jobs"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its type, range, default and meaning.

    Attributes:
        minimum, maximum: the range of a number; None for a path.
        least: what is less is refused, except 0, which then means "none".
        unit: what may stand behind the number.
    """

    key: str
    kind: Kind
    default: Value
    minimum: int | float | None
    maximum: int | float | None
    applies: Applies
    doc: str
    least: int | float = 0
    unit: str = ""

    def check(self, value: Any) -> Value:
        """Return the value in its own type, from a number or its written form.

        Raises:
            InvalidSettingError: it is not of this kind, or out of range.
        """
        if self.kind is Kind.PATH:
            return self._path(value)
        assert self.minimum is not None
        assert self.maximum is not None
        try:
            number = self._number(value)
        except ValueError as error:
            raise InvalidSettingError(
                self.key, f"{self.key} is a {self.kind}: {error}"
            ) from None
        if not self.minimum <= number <= self.maximum or 0 < number < self.least:
            least, none = (
                (self.least, ", or 0 for none") if self.least else (self.minimum, "")
            )
            raise InvalidSettingError(
                self.key,
                f"{self.key} must be from {self._text(least)} "
                f"to {self._text(self.maximum)}{none}",
            )
        return number

    def _path(self, value: Any) -> str:
        try:
            return unixtext.absolute_path(value)
        except ValueError as error:
            raise InvalidSettingError(self.key, f"{self.key} {error}") from None

    def _text(self, value: float) -> str:
        match self.kind:
            case Kind.DURATION:
                return format_duration(value)
            case Kind.SIZE:
                return format_size(int(value))
            case _:
                return f"{value:,}{self.unit}"

    def _number(self, value: Any) -> int | float:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError(f"{_quoted(value)} is none")
        if isinstance(value, str):
            return self._parse(value)
        if self.kind in {Kind.COUNT, Kind.SIZE}:
            try:
                return numbers.whole(value)
            except ValueError:
                raise ValueError(f"{_quoted(value)} is none") from None
        return float(value)

    def _parse(self, text: str) -> int | float:
        try:
            match self.kind:
                case Kind.COUNT:
                    return int(numbers.written(text))
                case Kind.NUMBER:
                    return float(numbers.written(text).removesuffix(self.unit))
                case Kind.SIZE:
                    return parse_size(text)
                case _:
                    return parse_duration(text)
        except ValueError as error:
            if self.kind in {Kind.SIZE, Kind.DURATION}:
                raise
            raise ValueError(f"{_quoted(text)} is none") from error


def _quoted(value: Any) -> str:
    return unixtext.quoted(value) if isinstance(value, str) else repr(value)


_YEAR = 366 * 86_400
_NEW, _NOW = Applies.NEW_JOBS, Applies.AT_ONCE

SETTINGS: Mapping[str, Setting] = MappingProxyType(
    {
        setting.key: setting
        for setting in (
            Setting(
                "max_retries", Kind.COUNT, 3, 0, 1_000_000, _NEW,
                "runs after the first one before a job is dead",
            ),
            Setting(
                "timeout", Kind.DURATION, 300, 0, _YEAR, _NEW,
                "a run is ended after this long; 0 means never",
            ),
            Setting(
                "backoff_base", Kind.NUMBER, 2, 1, 1000, _NEW,
                "the delay before retry n is backoff_base ** n seconds",
            ),
            Setting(
                "backoff_max", Kind.DURATION, 3600, 0, _YEAR, _NEW,
                "the longest delay before a retry, jitter not counted",
            ),
            Setting(
                "backoff_jitter", Kind.NUMBER, 0.1, 0, 1, _NEW,
                "up to this share of the delay is added at random",
            ),
            Setting(
                "output_limit", Kind.SIZE, 1024**3, 0, 1024**5, _NEW,
                "a run whose output grows over this is ended; 0 means no limit",
            ),
            Setting(
                "shell", Kind.PATH, SHELL, None, None, _NEW,
                "the program that command lines are handed to, after -c",
            ),
            Setting(
                "nice", Kind.COUNT, 0, -20, 19, _NEW,
                "added to the niceness of a job's processes",
            ),
            Setting(
                "memory_max", Kind.SIZE, 0, 0, 1024**5, _NEW,
                "a job whose processes together need more is killed; 0 means no limit",
                least=1024**2,
            ),
            Setting(
                "cpu_quota", Kind.NUMBER, 0, 0, 100 * 1024, _NEW,
                "percent of one processor for a job's processes; 0 means no limit",
                least=0.1, unit="%",
            ),
            Setting(
                "tasks_max", Kind.COUNT, 0, 0, 4_194_304, _NEW,
                "processes and threads of a job at a time; 0 means no limit",
            ),
            Setting(
                "kill_grace", Kind.DURATION, 5, 0, 3600, _NOW,
                "time between SIGTERM and SIGKILL",
            ),
            Setting(
                "retention", Kind.DURATION, 30 * 86_400, 0, 100 * _YEAR, _NOW,
                "completed and cancelled jobs are pruned after this; 0 means never",
            ),
            Setting(
                "max_queued", Kind.COUNT, 10_000_000, 1, 10**12, _NOW,
                "enqueue answers queue_full when this many jobs wait",
            ),
        )
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Settings:
    """The values in force.

    Attributes:
        limits: those of jobs that say nothing of them, under their own names.
    """

    max_retries: int
    timeout: float
    backoff_base: float
    backoff_max: float
    backoff_jitter: float
    output_limit: int
    shell: str
    limits: Limits
    kill_grace: float
    retention: float
    max_queued: int


def in_force(stored: Mapping[str, Value]) -> Settings:
    """Return the stored values over the defaults.

    A stored key that this version does not know is left alone.
    """
    values: dict[str, Any] = {
        key: setting.check(stored.get(key, setting.default))
        for key, setting in SETTINGS.items()
    }
    of_jobs = {key: values.pop(key) for key in Limits._fields if key in values}
    return Settings(**values, limits=limits.shared(Limits(**of_jobs)))


def find(key: str) -> Setting:
    """Return the setting of that name, hyphens or underscores.

    Raises:
        InvalidSettingError: there is none.
    """
    try:
        return SETTINGS[key.replace("-", "_")]
    except KeyError:
        known = ", ".join(SETTINGS)
        message = (
            f"there is no setting {unixtext.quoted(key)}; the settings are: {known}"
        )
        raise InvalidSettingError(key, message) from None
