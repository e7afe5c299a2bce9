"""The types of options and arguments: what click checks before anything is sent."""

from __future__ import annotations

import os
import time
from math import isfinite
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

# ParamType takes a type argument since click 8.4, and must not be given one before.


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
        if not isfinite(duration):
            self.fail(f"{value!r} is too long", param, ctx)
        return duration


class Moment(click.ParamType):  # type: ignore[type-arg]
    """A point in time (``times.parse_at``), as RFC 3339 for the wire."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        """Return RFC 3339."""
        from queuectl.cli import times  # noqa: PLC0415 - not in every command
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


class JobId(click.ParamType):  # type: ignore[type-arg]
    """A job's id; at a terminal the shell completes it."""

    name = "id"

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
        param: click.Parameter,  # noqa: ARG002 - click's signature
        incomplete: str,
    ) -> list[CompletionItem]:
        """Offer the newest jobs' ids; no daemon, no offer."""
        from queuectl.cli.complete import job_ids  # noqa: PLC0415 - loads the client

        return job_ids(ctx, incomplete)


DURATION = Duration()
MOMENT = Moment()
VARIABLE = Variable()
JOB_ID = JobId()
