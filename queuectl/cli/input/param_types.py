"""The types of options and arguments: what click checks before anything is sent."""

from __future__ import annotations

import math
import os
import time
from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from queuectl_protocol.vocabulary import JobState

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

# Modules that few commands need are imported where they are used.
# ParamType takes a type argument since click 8.4, and must not be given one before.


MAX_INTEGER = 2**63 - 1
"""The largest number that the database can hold."""


class Parsed(click.ParamType):  # type: ignore[type-arg]
    """A type with a parser. What is not text is a value already."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:
        """Return the value that the text means."""
        if not isinstance(value, str):
            return value
        try:
            return self.parse(value)
        except (ValueError, OverflowError) as error:
            self.fail(str(error), param, ctx)

    @abstractmethod
    def parse(self, text: str) -> Any:
        """Return the value that ``text`` means.

        Raises:
            ValueError: it means none; the message says what to write.
        """


class Integer(Parsed):
    """A whole number, in plain digits.

    ``int()`` takes other scripts' digits, underscores and numbers of any length too.
    """

    name = "integer"

    def parse(self, text: str) -> int:
        """Return the number."""
        digits = text[1:] if text[:1] in {"+", "-"} else text
        if not (digits.isascii() and digits.isdigit()):
            raise ValueError(f"{text!r} is no whole number")
        too_long = len(digits.lstrip("0")) > len(str(MAX_INTEGER))
        if too_long or abs(int(text)) > MAX_INTEGER:
            raise ValueError(f"{text!r} is too large")
        return int(text)


class Whole(Integer, click.IntRange):
    """A whole number in a range, which ``--help`` shows."""

    name = "integer range"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Return the number."""
        number = Integer.convert(self, value, param, ctx)
        return click.IntRange.convert(self, number, param, ctx)


class Duration(Parsed):
    """A duration such as ``90``, ``90s``, ``5m``, ``2h`` or ``1d``, in seconds."""

    name = "duration"

    def parse(self, text: str) -> float:
        """Return seconds."""
        from queuectl_protocol import units  # noqa: PLC0415 - as above

        duration = units.parse_duration(text)
        if not math.isfinite(duration):
            raise ValueError(f"{text!r} is too long")
        return duration


class Moment(Parsed):
    """A point in time, see ``moments.parse``, as RFC 3339 for the wire.

    Args:
        also: what else may be written, for the error message.
    """

    name = "time"

    def __init__(self, *also: str) -> None:
        self._also = also

    def parse(self, text: str) -> str:
        """Return RFC 3339."""
        from queuectl.cli.input import moments  # noqa: PLC0415 - as above
        from queuectl_protocol import units  # noqa: PLC0415 - as above

        return units.format_time(moments.parse(text, now=time.time(), also=self._also))


class Expiry(Parsed):
    """A point in time as ``Moment`` has it, or a duration from now, in seconds."""

    name = "time|duration"
    _moment = Moment("a duration such as 10m")

    def parse(self, text: str) -> str | float:
        """Return RFC 3339, or seconds."""
        try:
            return DURATION.parse(text)
        except ValueError:
            return self._moment.parse(text)


class Variable(Parsed):
    """``NAME=VALUE``, or ``NAME`` alone for its value in this environment."""

    name = "variable"

    def parse(self, text: str) -> tuple[str, str]:
        """Return the name and the value."""
        name, equals, content = text.partition("=")
        if not name:
            # The message does not repeat the value, which may be a secret.
            raise ValueError("a variable has no name; write NAME=VALUE")
        if not equals:
            if name not in os.environ:
                raise ValueError(f"{name} is not set here; write {name}=VALUE")
            content = os.environ[name]
        return name, content

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        param: click.Parameter,  # noqa: ARG002 - as above
        incomplete: str,
    ) -> list[CompletionItem]:
        """Return the names of variables that are set here."""
        from queuectl.cli.input.completion import values  # noqa: PLC0415 - as above

        return values.variables(incomplete)


class Size(Parsed):
    """A size such as ``1048576``, ``64k``, ``10M`` or ``1GiB``, in bytes."""

    name = "size"

    def parse(self, text: str) -> int:
        """Return bytes."""
        from queuectl_protocol import units  # noqa: PLC0415 - as above

        return units.parse_size(text)


class Percent(Parsed):
    """A share such as ``20%``, ``150%`` or ``150``, in percent."""

    name = "percent"

    def parse(self, text: str) -> float:
        """Return the number."""
        number = text.removesuffix("%")
        try:
            plain = number.isascii() and "_" not in number
            percent = float(number) if plain else math.nan
        except ValueError:
            percent = math.nan
        if not math.isfinite(percent):
            raise ValueError(f"{text!r} is no percentage; write 20% or 150%")
        return percent


class Rlimit(Parsed):
    """A resource limit, ``NAME=VALUE``: see ``rlimits``."""

    name = "rlimit"

    def parse(self, text: str) -> tuple[str, int]:
        """Return the name and the value."""
        from queuectl.cli.input import rlimits  # noqa: PLC0415 - as above

        return rlimits.parse(text)

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        param: click.Parameter,  # noqa: ARG002 - as above
        incomplete: str,
    ) -> list[CompletionItem]:
        """Return the names of resource limits."""
        from queuectl.cli.input.completion import values  # noqa: PLC0415 - as above

        return values.rlimit_names(incomplete)


class JobId(Parsed):
    """A job's id.

    Args:
        states: of the jobs that the shell's completion offers; none: of any.
    """

    name = "id"

    def __init__(self, *states: JobState) -> None:
        self.states = states

    def parse(self, text: str) -> str:
        """Return the id."""
        if not text:
            raise ValueError("an id is not empty")
        return text

    def shell_complete(
        self,
        ctx: click.Context,
        param: click.Parameter,
        incomplete: str,
    ) -> list[CompletionItem]:
        """Return the ids of the newest jobs; none if no daemon runs."""
        from queuectl.cli.input.completion import values  # noqa: PLC0415 - as above

        return values.job_ids(ctx, param, incomplete, self.states)


class Shell(click.Path):
    """The program that runs command lines: an absolute path, completed as one."""

    name = "path"

    def convert(
        self,
        value: Any,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:
        """Return the path; the program need not exist before the job starts."""
        if not os.path.isabs(value):  # noqa: PTH117 - pathlib is slow to import
            self.fail(f"{value!r} is no absolute path, as /bin/bash is", param, ctx)
        return value


INTEGER = Integer()
DURATION = Duration()
MOMENT = Moment()
EXPIRY = Expiry()
VARIABLE = Variable()
SIZE = Size()
PERCENT = Percent()
RLIMIT = Rlimit()
SHELL = Shell()
JOB_ID = JobId()
DEAD_ID = JobId(JobState.DEAD)
WAITING_ID = JobId(JobState.PENDING, JobState.FAILED)
ENDED_ID = JobId(JobState.COMPLETED, JobState.DEAD, JobState.CANCELLED)
UNFINISHED_ID = JobId(JobState.PENDING, JobState.PROCESSING, JobState.FAILED)
RETRIABLE_ID = JobId(
    JobState.FAILED, JobState.DEAD, JobState.CANCELLED, JobState.COMPLETED
)


def path_completion(kind: str) -> Callable[..., list[CompletionItem]]:
    """Return a completion by files (``file``) or directories (``dir``)."""
    return lambda *_: _by_shell(kind)


def word_completion(
    ctx: click.Context, param: click.Parameter, _incomplete: str
) -> list[CompletionItem]:
    """Complete the first word of a job by programs, and the others by files."""
    return _by_shell("file" if ctx.params.get(param.name or "") else "command")


def _by_shell(kind: str) -> list[CompletionItem]:
    """Return the item that leaves the completion to the shell."""
    from click.shell_completion import CompletionItem  # noqa: PLC0415 - as above

    return [CompletionItem("", kind)]
