"""The classes of the commands: click's own, with changes to help and to mistakes."""

import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from inspect import cleandoc
from itertools import chain
from typing import Any, TypeVar

import click

from queuectl.cli.policy import Rule

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
    "stop": "daemon stop",
    "workers": "worker list",
    "settings": "config list",
    "pause": "worker stop",
    "resume": "worker start",
    "help": "--help",
}
"""Names of other tools (pueue, task-spooler, the shell) -> commands of this one."""

NEAR = 0.6
"""How similar a word must be to a command to be taken for it, as ``difflib`` counts."""

NEARER = 0.7
"""The same for a command that begins with another letter."""

VERY_NEAR = 0.8
"""The same for a command that deletes: two letters swapped, or one missing."""

DELETING = frozenset({"prune", "purge", "delete"})
"""Commands that are not suggested to somebody who meant another one."""

F = TypeVar("F", bound=Callable[..., Any])

_AFTER_DASHES = "queuectl.after_dashes"
"""Key in a context's ``meta``: whether words came after ``--``."""


def options(*declared: Callable[[F], F]) -> Callable[[F], F]:
    """Return a decorator that adds options, which help lists in this order."""

    def decorate(function: F) -> F:
        for option in reversed(declared):
            function = option(function)
        return function

    return decorate


def keep_examples(text: str | None) -> str | None:
    """Return a help text whose examples click does not wrap.

    An example is a paragraph in which every line begins with ``$``. Click does not
    wrap a paragraph that begins with a line of one backspace character.
    """
    return text and "\n\n".join(map(_unwrapped, cleandoc(text).split("\n\n")))


def _unwrapped(paragraph: str) -> str:
    if not paragraph.startswith("$ "):
        return paragraph
    return "\b" + f"\n{paragraph}".replace("\n$ ", "\n  ")


@contextmanager
def _dying_of_a_closed_pipe() -> Iterator[None]:
    """Die of SIGPIPE when nobody reads stdout, as programs in a pipe do.

    click ends with 1, which means a failure.
    """
    try:
        yield
    except BrokenPipeError:
        from queuectl.cli.signals import die_of  # noqa: PLC0415 - seldom needed

        die_of(signal.SIGPIPE)


class Command(click.Command):
    """A command.

    Attributes:
        rule: what it may do to a queue.
    """

    def __init__(self, *args: Any, rule: Rule, **options: Any) -> None:
        super().__init__(*args, **options)
        self.help = keep_examples(self.help)
        self.rule = rule

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse; advise on an option that belongs before the command."""
        words = list(args)  # click empties its list while it parses
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            self._check_negative(ctx, words)
            raise click.UsageError(self._advice(ctx, error), ctx) from None

    def _check_negative(self, ctx: click.Context, args: list[str]) -> None:
        """Refuse a negative number for its range, instead of as an unknown option."""
        numbers = [word for word in args if word[:1] == "-" and word[1:].isdigit()]
        for param in self.params if numbers else ():
            ranged = isinstance(param.type, click.IntRange)
            if ranged and isinstance(param, click.Argument):
                param.type.convert(numbers[0], param, ctx)

    def _advice(self, ctx: click.Context, error: click.NoSuchOption) -> str:
        root = ctx.find_root()
        of_root = {name for param in root.command.params for name in _names(param)}
        if error.option_name in of_root:
            return (
                f"{error.option_name} goes before the command: "
                f"{root.command_path} {error.option_name} ... {ctx.info_name}"
            )
        return error.format_message()


def is_exact() -> bool:
    """Tell whether the words of the command that runs are an exact argument vector."""
    ctx = click.get_current_context(silent=True)
    return ctx is not None and bool(ctx.meta.get(_AFTER_DASHES))


def _names(param: click.Parameter) -> list[str]:
    return [*param.opts, *param.secondary_opts]


class PassingCommand(Command):
    """A command whose arguments are another command, which may come after ``--``.

    ``is_exact`` tells whether they did.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse; remember whether words came after ``--``, which click removes."""
        ctx.meta[_AFTER_DASHES] = any(
            word == "--" and index + 1 < len(args) and self._complete(ctx, args[:index])
            for index, word in enumerate(args)
        )
        return super().parse_args(ctx, args)

    def _complete(self, ctx: click.Context, before: list[str]) -> bool:
        """Tell whether no option before ``--`` takes it as its value."""
        try:
            self.make_parser(ctx).parse_args(before)
        except click.BadOptionUsage:
            return False  # the last option takes the next word, whatever that is
        except click.UsageError:
            pass  # this mistake is reported when all words are parsed
        return True

    def _advice(self, ctx: click.Context, error: click.NoSuchOption) -> str:
        return (
            f"{super()._advice(ctx, error)} Options of the job's own program go after "
            f"--, as in: {ctx.command_path} -- rsync -a here there."
        )


class Group(click.Group):
    """A group that suggests the most similar command for an unknown name."""

    command_class = Command

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.help = keep_examples(self.help)

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
        from difflib import get_close_matches  # noqa: PLC0415 - for mistakes only

        for near in get_close_matches(name, self.list_commands(ctx), cutoff=NEAR):
            alike = NEAR if near[0] == name[0] else NEARER
            least = VERY_NEAR if near in DELETING else alike
            if get_close_matches(name, [near], cutoff=least):
                return near
        return None


class LazyGroup(Group):
    """The root group: loads the module of a command when that command is used.

    ``queuectl status`` imports what ``status`` needs, and not what others need.
    """

    def __init__(
        self,
        *args: Any,
        package: str,
        sections: Mapping[str, Mapping[str, str]],
        **options: Any,
    ) -> None:
        """Make the group.

        Args:
            args: as ``click.Group`` takes them.
            package: has a module for each command, with the command's name. In it the
                command has that name too, or ``name_`` where Python needs the name.
            sections: title -> name -> the command's first sentence, in the order shown.
            options: as ``click.Group`` takes them.
        """
        super().__init__(*args, **options)
        self._package = package
        self._sections = sections
        self._names = list(chain.from_iterable(sections.values()))

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Return all names, without loading anything."""
        return self._names

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        """Load one command."""
        if name not in self._names:
            return None
        module = import_module(f"{self._package}.{name}")
        command = getattr(module, name, None) or getattr(module, f"{name}_")
        assert isinstance(command, click.Command)
        return command

    def make_context(self, *args: Any, **options: Any) -> click.Context:
        """Parse, and write what --help and --version ask for."""
        with _dying_of_a_closed_pipe():
            return super().make_context(*args, **options)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with _dying_of_a_closed_pipe():
            return super().invoke(ctx)

    def suggestion(self, ctx: click.Context, name: str) -> str | None:
        """Also know the names that other tools have for these commands."""
        return OTHER_NAMES.get(name) or super().suggestion(ctx, name)

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        formatter: click.HelpFormatter,
    ) -> None:
        """List the commands section by section, without loading anything."""
        longest = max(map(len, self._names))
        for title, names in self._sections.items():
            with formatter.section(title):
                formatter.write_dl(
                    [(f"{name:{longest}}", summary) for name, summary in names.items()]
                )
