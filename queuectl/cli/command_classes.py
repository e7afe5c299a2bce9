"""The kinds of command that ours are made of; each only changes how click behaves."""

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from inspect import cleandoc
from typing import Any

import click

from queuectl.cli.exits import die_of

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
"""What the same thing is called elsewhere (pueue, task-spooler, the shell)."""

NEAR = 0.6
"""How like a command a word must be to be taken for it; ``difflib``'s measure."""

NEARER = 0.7
"""The same for commands that begin with another letter."""

VERY_NEAR = 0.8
"""The same for commands that delete: two letters changed places, or one is missing."""

DELETING = frozenset({"prune", "purge", "delete"})
"""Commands that nobody is to be led to who meant another."""

_EXACT = "queuectl.exact"


def keep_examples(text: str | None) -> str | None:
    """Return a help text in which click leaves examples as they are.

    An example is a paragraph of which every line begins with ``$``. Click wants a
    line with a backspace character before it.
    """
    return text and "\n\n".join(map(_kept, cleandoc(text).split("\n\n")))


def _kept(paragraph: str) -> str:
    if not paragraph.startswith("$ "):
        return paragraph
    return "\b" + f"\n{paragraph}".replace("\n$ ", "\n  ")


@contextmanager
def _stdout() -> Iterator[None]:
    """If nobody reads on, end as any program in a pipe does.

    click would end with 1, as after a failure.
    """
    try:
        yield
    except BrokenPipeError:
        die_of(signal.SIGPIPE)


class Command(click.Command):
    """A command whose help keeps examples as they are."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.help = keep_examples(self.help)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse; an option that is not ours may stand in the wrong place."""
        words = list(args)  # click takes them away as it goes
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            self._check_negative(ctx, words)
            raise click.UsageError(self._advice(ctx, error), ctx) from None

    def _check_negative(self, ctx: click.Context, args: list[str]) -> None:
        """Refuse a negative number for its range: it was not meant for an option."""
        numbers = [word for word in args if word[:1] == "-" and word[1:].isdigit()]
        for param in self.params if numbers else ():
            ranged = isinstance(param.type, click.IntRange)
            if ranged and isinstance(param, click.Argument):
                param.type.convert(numbers[0], param, ctx)

    def _advice(self, ctx: click.Context, error: click.NoSuchOption) -> str:
        root = ctx.find_root()
        theirs = {name for param in root.command.params for name in _names(param)}
        if error.option_name in theirs:
            return (
                f"{error.option_name} goes before the command: "
                f"{root.command_path} {error.option_name} ... {ctx.info_name}"
            )
        return error.format_message()


def is_exact() -> bool:
    """Tell whether the words of the command that runs are a program's exact ones."""
    ctx = click.get_current_context(silent=True)
    return ctx is not None and bool(ctx.meta.get(_EXACT))


def _names(param: click.Parameter) -> list[str]:
    return [*param.opts, *param.secondary_opts]


class PassingCommand(Command):
    """A command whose arguments are another command: explains where ``--`` goes.

    Its context tells by ``is_exact`` whether they came after one.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse; remember whether words came after ``--``, which click drops."""
        ctx.meta[_EXACT] = any(
            word == "--" and index + 1 < len(args) and self._ends(ctx, args[:index])
            for index, word in enumerate(args)
        )
        return super().parse_args(ctx, args)

    def _ends(self, ctx: click.Context, before: list[str]) -> bool:
        """Tell whether what stands before ``--`` is whole, so that it is no value."""
        try:
            self.make_parser(ctx).parse_args(before)
        except click.BadOptionUsage:
            return False  # its last option takes the next word, whatever that is
        except click.UsageError:
            pass  # a mistake, and told as such when all is parsed
        return True

    def _advice(self, ctx: click.Context, error: click.NoSuchOption) -> str:
        return (
            f"{super()._advice(ctx, error)} Options of the job's own program go after "
            f"--, as in: {ctx.command_path} -- rsync -a here there."
        )


class Group(click.Group):
    """A group that names the nearest command when it has none of that name."""

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
    """The root group: loads a command's module only when that command is used.

    ``queuectl status`` pays for its own imports, and for nobody else's.
    """

    def __init__(
        self,
        *args: Any,
        sections: Mapping[str, Mapping[str, tuple[str, str]]],
        **options: Any,
    ) -> None:
        """Take the sections.

        Args:
            args: as ``click.Group`` takes them.
            sections: title -> name -> ``module:attribute`` and the command's first
                sentence, in the order shown.
            options: as ``click.Group`` takes them.
        """
        super().__init__(*args, **options)
        self._sections = sections
        self._places = {
            name: place
            for names in sections.values()
            for name, (place, _summary) in names.items()
        }

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

    def make_context(self, *args: Any, **options: Any) -> click.Context:
        """Parse; --help and --version write already here. See ``_stdout``."""
        with _stdout():
            return super().make_context(*args, **options)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. See ``_stdout``."""
        with _stdout():
            return super().invoke(ctx)

    def suggestion(self, ctx: click.Context, name: str) -> str | None:
        """Also know what other tools call our commands."""
        return OTHER_NAMES.get(name) or super().suggestion(ctx, name)

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        formatter: click.HelpFormatter,
    ) -> None:
        """List the commands section by section, without loading anything."""
        longest = max(map(len, self._places))
        for title, names in self._sections.items():
            with formatter.section(title):
                formatter.write_dl(
                    [
                        (f"{name:{longest}}", summary)
                        for name, (_place, summary) in names.items()
                    ]
                )
