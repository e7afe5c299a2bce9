"""Answers the completion scripts: what fits at the cursor.

It writes no error: a person is in the middle of a line.
"""

import os
import shlex
from collections.abc import Iterator, Mapping

import click
from click.shell_completion import CompletionItem, ShellComplete

from queuectl.cli.command_classes import PassingCommand
from queuectl.cli.view import output

VARIABLE = "_QUEUECTL_COMPLETE"
"""Its value names the shell: ``bash_complete``."""

LINE, BREAKS = "_QUEUECTL_LINE", "_QUEUECTL_BREAKS"
"""The line up to the cursor, and the characters that end a word for bash. The script of
an older version sets no line; click answers that one."""


def wanted(environ: Mapping[str, str] = os.environ) -> bool:
    """Tell whether a completion script asks."""
    return VARIABLE in environ and LINE in environ


def write(root: click.Command, environ: Mapping[str, str] = os.environ) -> None:
    """Write what fits, a line each: its kind, the word, and what the word means."""
    words, incomplete = split(environ[LINE])
    try:
        items = _Completer(root).get_completions(words[1:], incomplete)
    except Exception:  # noqa: BLE001 - as the module says
        return
    breaks = environ.get(BREAKS, "") if environ[VARIABLE].startswith("bash") else ""
    for item in items:
        parts = [item.type, _word(item, incomplete, breaks), item.help or ""]
        output.line("\t".join(" ".join(part.split("\t")) for part in parts).rstrip())


def split(line: str) -> tuple[list[str], str]:
    """Return the complete words of a line, as a shell reads them, and the last one."""
    lexer = shlex.shlex(line, posix=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    words: list[str] = []
    try:
        words.extend(lexer)
    except ValueError:  # a quote is open, so the last word is not complete
        return words, lexer.token or ""
    ended = line[-1:].isspace() and not line[:-1].endswith("\\")
    return (words, "") if ended or not words else (words[:-1], words[-1])


class _Completer(ShellComplete):
    """click's completion; after ``--`` it completes another program's words."""

    name = "queuectl"
    source_template = ""

    def __init__(self, root: click.Command) -> None:
        super().__init__(root, {}, "queuectl", VARIABLE)

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        if "--" in args:
            before = args[: args.index("--")]
            if isinstance(_command(self.cli, before), PassingCommand):
                first = len(args) == len(before) + 1
                return [CompletionItem("", "command" if first else "file")]
        return super().get_completions(args, incomplete)


def _command(root: click.Command, args: list[str]) -> click.Command | None:
    """Return the first command of the root that is named."""
    assert isinstance(root, click.Group)
    ctx = click.Context(root)
    return next(_commands(root, ctx, args), None)


def _commands(
    root: click.Group, ctx: click.Context, args: list[str]
) -> Iterator[click.Command]:
    for word in args:
        if not word.startswith("-") and (found := root.get_command(ctx, word)):
            yield found


def _word(item: CompletionItem, incomplete: str, breaks: str) -> str:
    """Return the word as bash needs it: without what stands before the last break."""
    value = str(item.value)
    if not value.startswith(incomplete):
        return value  # click returns only the value of --option=value
    kept = max((incomplete.rfind(one) for one in breaks), default=-1)
    return value[kept + 1 :]
