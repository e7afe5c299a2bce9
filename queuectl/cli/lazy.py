"""Groups that load a command's module only when that command is used.

``queuectl status`` pays for its own imports, and for nobody else's.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import click

OTHER_NAMES = {
    "add": "enqueue",
    "submit": "enqueue",
    "kill": "cancel",
    "remove": "cancel",
    "rm": "cancel",
    "ls": "list",
    "ps": "list",
    "jobs": "list",
    "log": "logs",
    "follow": "logs --follow",
    "tail": "logs --tail",
    "clean": "prune",
    "start": "daemon start",
    "stop": "daemon stop",
    "workers": "worker list",
    "settings": "config list",
}
"""What the same thing is called elsewhere (pueue, task-spooler, the shell)."""


class SuggestingGroup(click.Group):
    """A group that names the nearest command when it has none of that name."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or refuse with a suggestion."""
        name = args[0]
        known = self.get_command(ctx, name) is not None
        if not known and not name.startswith("-") and not ctx.resilient_parsing:
            near = self.suggestion(ctx, name)
            asked = f" Did you mean '{ctx.command_path} {near}'?" if near else ""
            raise click.UsageError(f"There is no command {name!r}.{asked}", ctx)
        return super().resolve_command(ctx, args)

    def suggestion(self, ctx: click.Context, name: str) -> str | None:
        """Return the command that was probably meant."""
        near = get_close_matches(name, self.list_commands(ctx), 1)
        return near[0] if near else None


class LazyGroup(SuggestingGroup):
    """The root group: names in sections, each with the place of its command."""

    def __init__(
        self,
        *args: Any,
        sections: Mapping[str, Mapping[str, str]],
        **options: Any,
    ) -> None:
        """Take the sections.

        Args:
            args: as ``click.Group`` takes them.
            sections: title -> name -> ``module:attribute``, in the order shown.
            options: as ``click.Group`` takes them.
        """
        super().__init__(*args, **options)
        self._sections = sections
        self._places = {k: v for names in sections.values() for k, v in names.items()}

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Return all names, without loading anything."""
        return list(self._places)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        """Load the one command asked for."""
        if (place := self._places.get(name)) is None:
            return None
        module, attribute = place.split(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def suggestion(self, ctx: click.Context, name: str) -> str | None:
        """Also know what other tools call our commands."""
        return OTHER_NAMES.get(name) or super().suggestion(ctx, name)

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """List the commands section by section."""
        longest = max(map(len, self._places))
        for title, names in self._sections.items():
            with formatter.section(title):
                formatter.write_dl(
                    [(f"{name:{longest}}", self._short(ctx, name)) for name in names]
                )

    def _short(self, ctx: click.Context, name: str) -> str:
        command = self.get_command(ctx, name)
        return command.get_short_help_str(limit=80) if command else ""
