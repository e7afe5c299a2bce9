"""The types of options and arguments: what click checks before anything is sent."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from queuectl_protocol.vocabulary import JobState

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

# ParamType takes a type argument since click 8.4, and must not be given one before.


MOST = 2**63 - 1
"""What the database can hold."""


class Integer(click.ParamType):  # type: ignore[type-arg]
    """A whole number, in plain digits.

    Python's own reading also takes other scripts' digits and underscores, and numbers
    of any length.
    """

    name = "integer"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Return the number."""
        if isinstance(value, int):
            return value
        digits = value[1:] if value[:1] in {"+", "-"} else value
        if not (digits.isascii() and digits.isdigit()):
            self.fail(f"{value!r} is no whole number", param, ctx)
        if len(digits.lstrip("0")) > len(str(MOST)) or abs(int(value)) > MOST:
            self.fail(f"{value!r} is too large", param, ctx)
        return int(value)


class Whole(Integer, click.IntRange):
    """A whole number in a range, which ``--help`` tells."""

    name = "integer range"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Return the number."""
        number = Integer.convert(self, value, param, ctx)
        return click.IntRange.convert(self, number, param, ctx)


class Duration(click.ParamType):  # type: ignore[type-arg]
    """A duration such as ``90``, ``90s``, ``5m``, ``2h`` or ``1d``, in seconds."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return seconds."""
        if isinstance(value, int | float):
            return float(value)
        from queuectl_protocol import units  # noqa: PLC0415 - not in every command

        try:
            duration = units.parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if not math.isfinite(duration):
            self.fail(f"{value!r} is too long", param, ctx)
        return duration


class Moment(click.ParamType):  # type: ignore[type-arg]
    """A point in time (``times.parse_at``), as RFC 3339 for the wire."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        """Return RFC 3339."""
        from queuectl.cli.view import times  # noqa: PLC0415 - not in every command
        from queuectl_protocol import units  # noqa: PLC0415 - as above

        try:
            return units.format_time(times.parse_at(value, now=time.time()))
        except (ValueError, OverflowError) as error:
            self.fail(str(error), param, ctx)


class Variable(click.ParamType):  # type: ignore[type-arg]
    """``NAME=VALUE``, or ``NAME`` alone for its value in this environment."""

    name = "variable"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Return the name and the value."""
        if isinstance(value, tuple):
            return value
        name, equals, content = value.partition("=")
        if not name:
            # Without what is there: it is a value, and may be a secret.
            self.fail("a variable has no name; write NAME=VALUE", param, ctx)
        if not equals:
            if name not in os.environ:
                self.fail(f"{name} is not set here; write {name}=VALUE", param, ctx)
            content = os.environ[name]
        return name, content

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        param: click.Parameter,  # noqa: ARG002 - as above
        incomplete: str,
    ) -> list[CompletionItem]:
        """Offer the names of those that are set here."""
        from queuectl.cli.input.completion.values import variables  # noqa: PLC0415 - as below

        return variables(incomplete)


class Size(click.ParamType):  # type: ignore[type-arg]
    """A size such as ``1048576``, ``64k``, ``10M`` or ``1GiB``, in bytes."""

    name = "size"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Return bytes."""
        if isinstance(value, int):
            return value
        from queuectl_protocol import units  # noqa: PLC0415 - not in every command

        try:
            return units.parse_size(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Percent(click.ParamType):  # type: ignore[type-arg]
    """A share such as ``20%``, ``150%`` or ``150``, in percent."""

    name = "percent"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number."""
        number = str(value).removesuffix("%")
        try:
            plain = number.isascii() and "_" not in number
            percent = float(number) if plain else math.nan
        except ValueError:
            percent = math.nan
        if not math.isfinite(percent):
            self.fail(f"{value!r} is no percentage; write 20% or 150%", param, ctx)
        return percent


class Rlimit(click.ParamType):  # type: ignore[type-arg]
    """A resource limit, ``NAME=VALUE``: see ``rlimits``."""

    name = "rlimit"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        """Return the name and the value."""
        if isinstance(value, tuple):
            return value
        from queuectl.cli.input import rlimits  # noqa: PLC0415 - few jobs have one

        try:
            return rlimits.parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        param: click.Parameter,  # noqa: ARG002 - as above
        incomplete: str,
    ) -> list[CompletionItem]:
        """Offer the names."""
        from queuectl.cli.input.completion.values import rlimit_names  # noqa: PLC0415 - as above

        return rlimit_names(incomplete)


class JobId(click.ParamType):  # type: ignore[type-arg]
    """A job's id; at a terminal the shell completes it.

    Args:
        states: of the jobs that are offered; none: of any.
    """

    name = "id"

    def __init__(self, *states: JobState) -> None:
        self.states = states

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        """Return the id."""
        if not value:
            self.fail("an id is not empty", param, ctx)
        return str(value)

    def shell_complete(
        self,
        ctx: click.Context,
        param: click.Parameter,
        incomplete: str,
    ) -> list[CompletionItem]:
        """Offer the newest jobs' ids; no daemon, no offer."""
        from queuectl.cli.input.completion.values import job_ids  # noqa: PLC0415 - loads the client

        return job_ids(ctx, param, incomplete, self.states)


INTEGER = Integer()


class Shell(click.Path):
    """The program that runs command lines: an absolute path, completed as one."""

    name = "path"

    def convert(
        self,
        value: Any,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:
        """Return the path; whether it is there is seen when the job starts."""
        if not str(value).startswith("/"):
            self.fail(f"{value!r} is no absolute path, as /bin/bash is", param, ctx)
        return value


DURATION = Duration()
MOMENT = Moment()
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
    """Return what offers files (``file``) or directories (``dir``) for an option."""
    return lambda *_: _offered(kind)


def word_completion(
    ctx: click.Context, param: click.Parameter, _incomplete: str
) -> list[CompletionItem]:
    """Offer programs for the first word of a job, and files for those after it."""
    return _offered("file" if ctx.params.get(param.name or "") else "command")


def _offered(kind: str) -> list[CompletionItem]:
    """Return what leaves the offer to the shell."""
    from click.shell_completion import CompletionItem  # noqa: PLC0415 - as above

    return [CompletionItem("", kind)]
